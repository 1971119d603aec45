import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { controlFrame } from '../../../lib/bus/channel/direct/frame.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import type { ErrorDetails } from '../../../schemas/errors.ts';
import type { CreditFinal } from '../../../schemas/transfer.ts';
import { type Fleet, useFleet } from '../../support/fleet.ts';
import { mentions } from '../../support/mentions.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import { retry } from '../../support/retry.ts';
import { data, expectUnlocked, type ScriptedTransfer, begin as speak } from '../../support/scripted-sender.ts';
import type { SimHost } from '../../support/sim-host.ts';

const natsUrl = useNatsAccounts();

interface House {
  fleet: Fleet;
  source: SimHost;
  target: SimHost;
  /** The full stream of zones/test@one, and the guid it brings. */
  stream: Buffer;
  guid: string;
}

const all = (host: SimHost): Promise<string> => host.zfs('list', '-Hp', '-t', 'all', '-o', 'name,guid,referenced');

/** A receiver smos-00 whose window is 512 KiB, and a host smos-01 with zones/test@one, for which the test speaks. */
async function useHouse(env: NodeJS.ProcessEnv = {}): Promise<House> {
  const fleet = await useFleet(natsUrl());
  const [source, target] = await Promise.all([fleet.host('smos-01'), fleet.host('smos-00')]);
  await Promise.all([source.zpool('create', 'zones'), target.zpool('create', 'zones')]);
  await source.zfs('create', 'zones/test');
  await source.zfs('set', 'zfs-sim:write=200000', 'zones/test');
  await source.zfs('snapshot', 'zones/test@one');
  await fleet.start('receiver', target, { ZPSEND_ALLOW: '*=zones', ZPSEND_MAX_CONCURRENT: '64', ...env });
  const { stdout } = await execa('zfs', ['send', 'zones/test@one'], {
    env: source.env,
    extendEnv: false,
    encoding: 'buffer',
  });
  const guid = await source.zfs('get', '-Hp', '-o', 'value', 'guid', 'zones/test@one');
  return { fleet, source, target, stream: Buffer.from(stdout), guid };
}

/** A receiver forgets a receive a moment after it has released its lock. */
const begin = (fleet: Fleet, dataset: string, guid: string): Promise<ScriptedTransfer> =>
  retry(() => speak(fleet, { targetDataset: dataset, to: { name: 'zones/test@one', guid } }));

const code = (word: CreditFinal): string => (word.type === 'failed' ? word.error.code : word.type);

async function expectReplica({ fleet, source, target, guid }: House, dataset: string): Promise<void> {
  await fleet.start('sender', source);
  const job = await fleet.send('smos-01', { dataset: 'zones/test', to: { host: 'smos-00', dataset } });
  expect(job).toMatchObject({ state: 'done' });
  expect(await target.zfs('get', '-Hp', '-o', 'value', 'guid', `${dataset}@one`)).toBe(guid);
  const digest = ['get', '-Hp', '-o', 'value', 'zfs-sim:digest'];
  expect(await target.zfs(...digest, `${dataset}@one`)).toBe(await source.zfs(...digest, 'zones/test@one'));
}

test('the stream of another snapshot than was announced does not reach zfs receive', async () => {
  const { fleet, target, stream, guid } = await useHouse();
  const before = await all(target);
  const announced: [object, (string | number)[]][] = [
    [{ to: { name: 'zones/test@one', guid: '77' } }, ['zones/test@one', 77]],
    [{ to: { name: 'zones/test@one', guid }, raw: true }, ['zones/test@one', 'raw']],
  ];
  for (const [start, facts] of announced) {
    const sender = await speak(fleet, { targetDataset: 'zones/victim', ...start } as Parameters<typeof speak>[1]);
    sender.publish(data(0, stream.subarray(0, 100_000)));
    const error = { code: 'STREAM_BROKEN', details: { snapshot: 'zones/test@one' }, message: mentions(...facts) };
    expect(await sender.final).toMatchObject({ type: 'failed', error });
    await expectUnlocked(fleet);
    expect(await all(target)).toBe(before);
  }
});

test('frames that break the rules fail the receive with a code, change nothing, and free the lock', async () => {
  const house = await useHouse();
  const { fleet, target, stream, guid } = house;
  const before = await all(target);
  const far = data(0, stream);
  far.writeUInt32BE(0xffffffff, 1);
  const attacks: [string, Buffer[], ErrorDetails][] = [
    ['a first offset that is not 0', [data(5, stream)], { reason: 'gap' }],
    ['more than was granted', [data(0, Buffer.alloc(600 * 1024))], { reason: 'beyond-credit' }],
    ['an offset beyond 2^53', [far], { reason: 'malformed' }],
    ['data without data', [data(0, Buffer.alloc(0))], { reason: 'malformed' }],
    ['an end before its bytes', [controlFrame('end', stream.length)], { reason: 'total-mismatch' }],
    ['an end with a body', [controlFrame('end', 0, 'body')], { reason: 'malformed' }],
    ['a ping with a body', [controlFrame('ping', 0, 'body')], { reason: 'malformed' }],
    ['an abort that cannot be read', [controlFrame('abort', 0, '{"code":')], { reason: 'unreadable' }],
    [
      'an abort with an unknown code',
      [controlFrame('abort', 0, '{"code":"EVIL","message":"m","retryable":true}')],
      { reason: 'unreadable' },
    ],
    ['text as a stream', [data(0, Buffer.from('not ZFS')), controlFrame('end', 7)], { snapshot: 'zones/test@one' }],
    [
      'noise as a stream',
      [data(0, Buffer.alloc(400_000, 0xa5)), controlFrame('end', 400_000)],
      { snapshot: 'zones/test@one' },
    ],
    ['an end of nothing', [controlFrame('end', 0)], { snapshot: 'zones/test@one' }],
  ];
  for (const [what, frames, details] of attacks) {
    const sender = await begin(fleet, 'zones/victim', guid);
    sender.publish(...frames);
    expect([what, await sender.final]).toMatchObject([
      what,
      { type: 'failed', error: { code: 'STREAM_BROKEN', details } },
    ]);
    await expectUnlocked(fleet);
  }
  const sender = await begin(fleet, 'zones/victim', guid);
  sender.publish(controlFrame('abort', 0, JSON.stringify({ code: 'ABORTED', message: 'enough', retryable: false })));
  expect(await sender.final).toMatchObject({ type: 'failed', error: { code: 'ABORTED', message: 'enough' } });
  await expectUnlocked(fleet);
  expect(await all(target)).toBe(before);
  await expectReplica(house, 'zones/victim');
});

test('frames that break the rules in mid-stream fail the receive, and the work can be finished', async () => {
  const house = await useHouse();
  const { fleet, target, stream, guid } = house;
  const half = Math.floor(stream.length / 2);
  const [first, second] = [data(0, stream.subarray(0, half)), data(half, stream.subarray(half))];
  const end = controlFrame('end', stream.length);
  const attacks: [string, Buffer[], ErrorDetails][] = [
    ['gap', [first, data(half + 1, stream.subarray(half + 1)), end], { reason: 'gap' }],
    ['repetition', [first, first, second, end], { reason: 'gap' }],
    ['too-early', [first, controlFrame('end', half)], {}],
    ['wrong-total', [first, second, controlFrame('end', stream.length + 1)], { reason: 'total-mismatch' }],
    ['after-end', [first, second, end, data(stream.length, Buffer.from('more'))], { reason: 'after-end' }],
    ['two-ends', [first, second, end, controlFrame('end', stream.length + 1)], { reason: 'after-end' }],
    ['ahead-of-its-data', [first, controlFrame('ping', half + 1)], { reason: 'gap' }],
  ];
  for (const [what, frames, details] of attacks) {
    const sender = await begin(fleet, `zones/${what}`, guid);
    sender.publish(...frames);
    expect([what, await sender.final]).toMatchObject([
      what,
      { type: 'failed', error: { code: 'STREAM_BROKEN', details } },
    ]);
    await expectUnlocked(fleet);
  }
  const whole = (await target.zfs('list', '-Hp', '-t', 'snapshot', '-o', 'name')).split('\n');
  for (const what of ['gap', 'repetition', 'too-early']) expect(whole).not.toContain(`zones/${what}@one`);
  await expectReplica(house, 'zones/gap');
});

test('frames of a transfer that is not ours, from another source, or with headers are ignored', async () => {
  const house = await useHouse();
  const { fleet, target, stream, guid } = house;
  const sender = await begin(fleet, 'zones/victim', guid);
  const { nc } = fleet.bus;
  const evil = data(0, Buffer.from('evil'));
  nc.publish(subjects.data('smos-01', 'smos-00', 'nobodys1'), evil);
  nc.publish(subjects.data('smos-09', 'smos-00', sender.subject.split('.').at(-1) ?? ''), evil);
  nc.publish(`${sender.subject}.more`, evil);
  const marked = await nc.request(subjects.info('smos-00'), 'not JSON');
  nc.publish(sender.subject, evil, marked.headers ? { headers: marked.headers } : {});
  expect(marked.headers).toBeDefined();
  sender.publish(data(0, stream), controlFrame('end', stream.length));
  expect(await sender.final).toEqual({ type: 'done', guid, bytes: stream.length });
  await expectUnlocked(fleet);
  expect((await target.processes()).filter(({ argv }) => argv.includes('receive'))).toHaveLength(1);
  await expectReplica(house, 'zones/victim');
});

test('a source that only pings, and never begins its stream, does not keep the lock', async () => {
  const { fleet, target, guid } = await useHouse({ ZPSEND_SILENCE_SECONDS: '1' });
  const sender = await begin(fleet, 'zones/victim', guid);
  const pinging = setInterval(() => sender.publish(controlFrame('ping', 0)), 200);
  onTestFinished(() => clearInterval(pinging));
  const word = await sender.final;
  expect(code(word)).toBe('TIMEOUT');
  expect(JSON.stringify(word)).toEqual(mentions('8 s'));
  await expectUnlocked(fleet);
  expect((await target.processes()).filter(({ argv }) => argv.includes('receive'))).toEqual([]);
});

test('I6: a stream of another snapshot than the one announced is not called done', async () => {
  const { fleet, stream } = await useHouse();
  const sender = await begin(fleet, 'zones/victim', '4711');
  sender.publish(data(0, stream), controlFrame('end', stream.length));
  const word = await sender.final;
  expect(code(word)).toBe('STREAM_BROKEN');
  expect(JSON.stringify(word)).toEqual(mentions(4711));
  await expectUnlocked(fleet);
});
