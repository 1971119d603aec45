import { describe, expect, test } from 'vitest';
import { newSecret } from '../../../lib/bus/channel/direct/authentic.ts';
import { openLocks } from '../../../lib/bus/locks/locks.ts';
import { hashOfTransfer } from '../../../lib/bus/locks/transfer-hash.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import type { ErrorBody } from '../../../schemas/errors.ts';
import { infoSchema } from '../../../schemas/host.ts';
import { listingPartSchema } from '../../../schemas/inventory.ts';
import { protocol } from '../../../schemas/protocol.ts';
import { receiveReadySchema, receiveStatusSchema } from '../../../schemas/transfer.ts';
import { rejection } from '../../support/bus.ts';
import { type Fleet, useFleet } from '../../support/fleet.ts';
import { mentions } from '../../support/mentions.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import type { SimHost } from '../../support/sim-host.ts';

const natsUrl = useNatsAccounts();

interface House {
  fleet: Fleet;
  source: SimHost;
  target: SimHost;
}

const all = (host: SimHost): Promise<string> => host.zfs('list', '-Hp', '-t', 'all', '-o', 'name,guid,referenced');

/** How many `zfs receive` ran to their end there. */
const receives = async (host: SimHost): Promise<number> =>
  (await host.processes()).filter(({ argv }) => argv.includes('receive')).length;

/** A sender smos-01 with zones/test@one, and a receiver smos-00 that lets it write into zones/back. */
async function useHouse(allow = 'smos-01=zones/back'): Promise<House> {
  const fleet = await useFleet(natsUrl());
  const [source, target] = await Promise.all([fleet.host('smos-01'), fleet.host('smos-00')]);
  await Promise.all([source.zpool('create', 'zones'), target.zpool('create', 'zones')]);
  await Promise.all([source.zfs('create', 'zones/test'), target.zfs('create', 'zones/back')]);
  await target.zfs('create', 'zones/backup');
  await source.zfs('snapshot', 'zones/test@one');
  await Promise.all([fleet.start('receiver', target, { ZPSEND_ALLOW: allow }), fleet.start('sender', source)]);
  return { fleet, source, target };
}

/** The coded error that answers a raw body. */
async function refusal(fleet: Fleet, subject: string, body: string | Uint8Array): Promise<ErrorBody> {
  const reply = await fleet.bus.nc.request(subject, body, { timeout: 10_000 });
  const { error } = reply.json<{ error?: ErrorBody }>();
  if (!error) throw new Error(`${subject} accepted ${String(body).slice(0, 200)}: ${reply.string().slice(0, 200)}`);
  expect(reply.headers?.get('Nats-Service-Error')).toContain(error.code);
  return error;
}

async function expectStillServing({ fleet, target }: House, before: string): Promise<void> {
  expect(await all(target)).toBe(before);
  expect(await fleet.ask(subjects.snapshots('smos-00'), { dataset: 'zones/back' }, listingPartSchema)).toMatchObject({
    datasets: [{ name: 'zones/back' }],
  });
  for (const host of ['smos-00', 'smos-01']) {
    expect(await fleet.ask(subjects.info(host), {}, infoSchema)).toMatchObject({ host });
  }
  const into = { host: 'smos-00', dataset: 'zones/back/good' };
  expect(await fleet.send('smos-01', { dataset: 'zones/test', to: into })).toMatchObject({ state: 'done', done: 1 });
}

const receiveStart = {
  transfer: 'transfer1',
  protocol,
  secret: newSecret(),
  job: 'jobjobjob1',
  sourceHost: 'smos-01',
  targetDataset: 'zones/back/new',
  to: { name: 'zones/test@one', guid: '123' },
  partial: 'resume',
};
const sendStart = { dataset: 'zones/test', to: { host: 'smos-00', dataset: 'zones/back/new' } };
const good = {
  [subjects.snapshots('smos-00')]: { dataset: 'zones/back' },
  [subjects.receive('smos-00', 'start')]: receiveStart,
  [subjects.receive('smos-00', 'status')]: { transfer: 'transfer1' },
  [subjects.receive('smos-00', 'abort')]: { transfer: 'transfer1' },
  [subjects.send('smos-01', 'plan')]: sendStart,
  [subjects.send('smos-01', 'start')]: sendStart,
  [subjects.send('smos-01', 'status')]: { job: 'jobjobjob1' },
  [subjects.send('smos-01', 'abort')]: { job: 'jobjobjob1' },
};

/** NUL and newline as JSON escapes them, since a body is JSON. */
const badNames = [
  '-r',
  '-zones/back',
  'zones/back;reboot',
  'zones/$(reboot)',
  'zones/`reboot`',
  'zones/back\nzones',
  'zones/back\n',
  'zones/back\u0000',
  'zones/back@one@two',
  '@one',
  'zones@/back',
  'zones/back@',
  'zones/back@one/two',
  'zones//back',
  '/zones/back',
  'zones/back/',
  'zones/back/../backup',
  'zones/back/..',
  '..',
  '%zones',
  'zönes/back',
  `zones/${'a'.repeat(295)}`,
  '',
];

describe('bad input is refused with a code, nothing changes, and the service continues', () => {
  test('bodies that are no request, on every subject', async () => {
    const house = await useHouse();
    const before = await all(house.target);
    for (const [subject, body] of Object.entries(good)) {
      const [field] = Object.keys(body);
      const bad: Record<string, string | Uint8Array> = {
        'malformed JSON': '{"dataset": "zones/ba',
        'an array': '[1, 2]',
        'deep nesting': '['.repeat(100_000),
        'an unknown field': JSON.stringify({ ...body, destroy: true }),
        'a forged prototype': `{"__proto__": {}, ${JSON.stringify(body).slice(1)}`,
        'a wrong type': JSON.stringify({ ...body, [field ?? '']: 17 }),
        'a wrong type inside': JSON.stringify({ ...body, [field ?? '']: { $gt: '' } }),
        'null for a field': JSON.stringify({ ...body, [field ?? '']: null }),
        'a huge field': JSON.stringify({ ...body, [field ?? '']: 'a'.repeat(200_000) }),
        'a huge body': JSON.stringify({ ...body, padding: 'a'.repeat(900_000) }),
        'no UTF-8': Uint8Array.of(0x7b, 0xff, 0xfe, 0x7d),
        'a binary body': Uint8Array.of(0, 1, 2, 3),
      };
      const errors = await Promise.all(Object.values(bad).map((raw) => refusal(house.fleet, subject, raw)));
      Object.keys(bad).forEach((what, index) => {
        expect([subject, what, errors[index]?.code]).toEqual([subject, what, 'BAD_REQUEST']);
        expect(errors[index]?.message.length, `${what} is answered briefly`).toBeLessThan(1000);
      });
    }
    await expectStillServing(house, before);
  });

  test('I11: a request that names another source than its subject', async () => {
    const house = await useHouse('*=zones/back');
    const before = await all(house.target);
    const { protocol: _____, transfer: _, secret: ____, job: __, partial: ___, sourceHost, ...start } = receiveStart;
    const bodies = {
      [subjects.receiveFrom('smos-00', 'smos-02')]: receiveStart,
      [subjects.receiveCheckFrom('smos-00', 'smos-02')]: { sourceHost, starts: [start] },
    };
    for (const [subject, body] of Object.entries(bodies)) {
      expect(await refusal(house.fleet, subject, JSON.stringify(body)), subject).toMatchObject({ code: 'NOT_ALLOWED' });
    }
    await expectStillServing(house, before);
  });

  test('a recv.start of another version of the protocol, or of none, is refused with a reason, despite any other fields', async () => {
    const house = await useHouse('*=zones/back');
    const before = await all(house.target);
    const subject = subjects.receiveFrom('smos-00', 'smos-01');
    const ofVersion = (named: unknown) =>
      refusal(house.fleet, subject, JSON.stringify({ ...receiveStart, protocol: named, later: 'field' }));
    for (const named of [2, 0, 1.5]) {
      expect(await ofVersion(named)).toMatchObject({
        code: 'UNSUPPORTED',
        message: mentions(named, protocol),
        details: { reason: 'protocol', protocol: named, reads: protocol },
      });
    }
    const { protocol: _, ...without } = receiveStart;
    expect(await refusal(house.fleet, subject, JSON.stringify(without))).toMatchObject({
      code: 'BAD_REQUEST',
      message: mentions('protocol'),
    });
    expect(await ofVersion('1')).toMatchObject({ code: 'BAD_REQUEST' });
    expect(await house.fleet.ask(subjects.info('smos-00'), {}, infoSchema)).toMatchObject({ protocol });
    await expectStillServing(house, before);
  });

  test('I10: names that are none reach no zfs process', async () => {
    const house = await useHouse();
    const { fleet, source, target } = house;
    const before = await all(target);
    const ran = async () => (await Promise.all([source.processes(), target.processes()])).map(({ length }) => length);
    const processes = await ran();
    for (const name of badNames) {
      const snapshot = name.includes('@') ? name : `${name}@one`;
      const requests: [string, object][] = [
        [subjects.snapshots('smos-00'), { dataset: name }],
        [subjects.snapshots('smos-01'), { dataset: name, recursive: true }],
        [subjects.receive('smos-00', 'start'), { ...receiveStart, targetDataset: name }],
        [subjects.receive('smos-00', 'start'), { ...receiveStart, to: { name: snapshot, guid: '1' } }],
        [subjects.receive('smos-00', 'start'), { ...receiveStart, from: { guid: '1' }, origin: snapshot }],
        [subjects.send('smos-01', 'start'), { ...sendStart, dataset: name }],
        [subjects.send('smos-01', 'start'), { ...sendStart, to: { host: 'smos-00', dataset: name } }],
        [subjects.send('smos-01', 'plan'), { ...sendStart, dataset: snapshot, full: true }],
        [subjects.send('smos-01', 'plan'), { ...sendStart, from: `@a/${name}` }],
      ];
      for (const [subject, body] of requests) {
        const { code } = await refusal(fleet, subject, JSON.stringify(body));
        expect([subject, body, code]).toEqual([subject, body, 'BAD_REQUEST']);
      }
    }
    // a plain-text body is a name too; the newline that echo and cat leave at its end is none of it
    for (const text of ['-r', 'zones/a;b', 'zones/a\nzones/b', 'zones/a\u0000', 'zones/a@b', `z${'z'.repeat(299)}`]) {
      expect((await refusal(fleet, subjects.snapshots('smos-00'), text)).code).toBe('BAD_REQUEST');
    }
    for (const guid of ['-1', '0x1f', '1e3', '123456789012345678901']) {
      const body = JSON.stringify({ ...receiveStart, to: { name: 'zones/test@one', guid } });
      expect((await refusal(fleet, subjects.receive('smos-00', 'start'), body)).code).toBe('BAD_REQUEST');
    }
    for (const transfer of ['a.b.c.d.e', '>>>>>>>', '*******', 'transfer 1']) {
      const body = JSON.stringify({ ...receiveStart, transfer });
      expect((await refusal(fleet, subjects.receive('smos-00', 'start'), body)).code).toBe('BAD_REQUEST');
    }
    expect(await ran()).toEqual(processes);
    await expectStillServing(house, before);
  });

  test('unknown datasets, snapshots, transfers and jobs', async () => {
    const house = await useHouse('smos-01=zones/back,smos-01=zones/no/parent');
    const { fleet, target } = house;
    const before = await all(target);
    expect((await refusal(fleet, subjects.snapshots('smos-00'), 'zones/none')).code).toBe('NO_SUCH_DATASET');
    for (const verb of ['status', 'abort'] as const) {
      expect((await refusal(fleet, subjects.receive('smos-00', verb), 'transfer9')).code).toBe('NO_SUCH_TRANSFER');
      expect((await refusal(fleet, subjects.send('smos-01', verb), 'jobjobjob9')).code).toBe('NO_SUCH_JOB');
    }
    const to = { host: 'smos-00', dataset: 'zones/back/new' };
    const cases: [object, string][] = [
      [{ dataset: 'zones/none', to }, 'NO_SUCH_DATASET'],
      [{ dataset: 'nopool', to }, 'NO_SUCH_DATASET'],
      [{ dataset: 'zones/test@none', to }, 'NO_SUCH_SNAPSHOT'],
      [{ dataset: 'zones/test@one', from: '@none', to }, 'NO_SUCH_SNAPSHOT'],
      [{ dataset: 'zones/test@one', from: '#none', to }, 'NO_SUCH_SNAPSHOT'],
      [{ dataset: 'zones/test', to: { host: 'smos-00', dataset: 'zones/no/parent/new' } }, 'NO_SUCH_DATASET'],
      [{ dataset: 'zones/test', to: { host: 'smos-77' } }, 'UNREACHABLE'],
    ];
    const jobs = await Promise.all(cases.map(([body]) => fleet.send('smos-01', body)));
    expect(jobs.map(({ request, state, error }) => [request, state, error?.code])).toEqual(
      cases.map(([body, code]) => [body, 'failed', code]),
    );
    await expectStillServing(house, before);
  });

  test('sources that are not allowed, and datasets outside their prefix', async () => {
    const house = await useHouse('smos-01=zones/back,smos-03=zones/three');
    const { fleet, target } = house;
    const before = await all(target);
    const outside: object[] = [
      { sourceHost: 'smos-02' },
      { sourceHost: 'smos-03' },
      { targetDataset: 'zones' },
      { targetDataset: 'zones/backup' },
      { targetDataset: 'zones/backup/new' },
      { targetDataset: 'zones/back up' },
      { targetDataset: 'zones/back.' },
      { targetDataset: 'zones/BACK/new' },
      { from: { guid: '1' }, origin: 'zones/backup@one' },
      { from: { guid: '1' }, origin: 'zones@one' },
    ];
    for (const change of outside) {
      const body = JSON.stringify({ ...receiveStart, ...change });
      expect([change, (await refusal(fleet, subjects.receive('smos-00', 'start'), body)).code]).toEqual([
        change,
        'NOT_ALLOWED',
      ]);
    }
    for (const dataset of ['zones/test', 'zones/backup/new']) {
      const job = await fleet.send('smos-01', { dataset: 'zones/test', to: { host: 'smos-00', dataset } });
      expect(job).toMatchObject({ state: 'failed', error: { code: 'NOT_ALLOWED' } });
    }
    expect(await receives(target)).toBe(0);
    await expectStillServing(house, before);
    expect(await receives(target)).toBe(1);
  });
});

test('I1, I11: a start alone changes nothing, a second one is LOCKED by the first, and the lock ends by itself', async () => {
  const house = await useHouse('*=zones/back');
  const { fleet, target } = house;
  const before = await all(target);
  const subject = subjects.receive('smos-00', 'start');
  const ready = await fleet.ask(subject, receiveStart, receiveReadySchema);
  expect(await fleet.ask(subject, receiveStart, receiveReadySchema), 'the same asked again').toEqual(ready);
  const rivals = [
    { ...receiveStart, transfer: 'transfer2', sourceHost: 'smos-02' },
    { ...receiveStart, transfer: 'transfer2' },
    { ...receiveStart, sourceHost: 'smos-02' },
    // who knows all but the secret gets no answer either
    { ...receiveStart, secret: newSecret() },
  ];
  for (const rival of rivals) {
    const error = await rejection(fleet.ask(subject, rival, receiveReadySchema));
    expect(error).toMatchObject({ code: 'LOCKED', details: { source: 'smos-01', transfer: 'transfer1' } });
    expect(error.message).toEqual(mentions('smos-01'));
  }
  expect(await fleet.ask(subjects.receive('smos-00', 'status'), {}, receiveStatusSchema)).toMatchObject({
    transfers: [{ transfer: 'transfer1', state: 'ready', received: 0 }],
  });
  const locks = await openLocks(fleet.bus, 4);
  expect(await locks.list()).toMatchObject([
    { dataset: 'zones/back/new', source: 'smos-01', transferHash: hashOfTransfer('transfer1') },
  ]);
  await expect.poll(() => locks.list(), { timeout: 30_000 }).toEqual([]);
  expect(await receives(target)).toBe(0);
  await expectStillServing(house, before);
  expect(await receives(target)).toBe(1);
});

test('spaces, colons and dots in names of datasets and snapshots work from end to end', async () => {
  const { fleet, source, target } = await useHouse('smos-01=zones/my back');
  await target.zfs('create', 'zones/my back');
  const dataset = 'zones/a b:c .d_e-f';
  await source.zfs('create', dataset);
  for (const name of ['2024-01-01 10:00:00', '...', ':', '-x']) await source.zfs('snapshot', `${dataset}@${name}`);
  const into = 'zones/my back/x:y z';
  const request = { dataset, to: { host: 'smos-00', dataset: into } };
  expect(await fleet.send('smos-01', request)).toMatchObject({ state: 'done', done: 4 });
  expect(await fleet.send('smos-01', request)).toMatchObject({ state: 'done', done: 0 });
  const listed = async (host: SimHost, name: string) =>
    (await host.zfs('list', '-Hp', '-t', 'snapshot', '-o', 'name,guid', '-s', 'createtxg', name)).replaceAll(name, '');
  expect(await listed(target, into)).toBe(await listed(source, dataset));
  expect(await (await openLocks(fleet.bus, 4)).list()).toEqual([]);
});
