import { jetstream } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import type { HostKey } from '../../../lib/bus/hosts/claim.ts';
import { readHost, writeHost } from '../../../lib/bus/hosts/registry.ts';
import { serve } from '../../../lib/bus/rpc/serve.ts';
import { hostsBucket, keySubject, subjects } from '../../../lib/bus/subjects.ts';
import { derive } from '../../../lib/machine/derive.ts';
import { errorReplySchema } from '../../../schemas/errors.ts';
import { infoSchema, snapshotsRequestSchema } from '../../../schemas/host.ts';
import { doctorOutputSchema, hostsOutputSchema } from '../../../schemas/output.ts';
import { receiveStartSchema } from '../../../schemas/transfer.ts';
import { useBus } from '../../support/bus.ts';
import { type Fleet, quick, useFleet } from '../../support/fleet.ts';
import { codesOf, mentions } from '../../support/mentions.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import { program } from '../../support/program.ts';
import type { SimHost } from '../../support/sim-host.ts';

const natsUrl = useNatsAccounts();

/** A machine of that host name, with zones/test@SNAPSHOT. */
async function machineOf(fleet: Fleet, name: string, id: string, snapshot: string): Promise<SimHost> {
  const host = await fleet.host(name);
  const machine = { ...host, env: { ...host.env, ZPSEND_MACHINE_ID: id } };
  await machine.zpool('create', 'zones');
  await machine.zfs('create', 'zones/test');
  await machine.zfs('snapshot', `zones/test@${snapshot}`);
  return machine;
}

const zpsend = (host: SimHost, ...args: string[]) =>
  execa(process.execPath, [program, ...args], {
    env: { ...host.env, ...quick, NATS_URL: natsUrl() },
    extendEnv: false,
    reject: false,
  });

const snapshotsOf = async (host: SimHost) => host.zfs('list', '-Hp', '-t', 'snapshot', '-o', 'name', '-r', 'zones');
const buckets = async (fleet: Fleet) => new Kvm(jetstream(fleet.bus.nc)).open(hostsBucket);
const record = (id: string) => ({ machine: derive(id), source: 'a test', since: new Date().toISOString() });

const machineIn = (key: HostKey) => (typeof key === 'object' ? key.machine : key);

test('a second machine of one host name starts no service, and its commands neither send, list nor compare what the first one has', async () => {
  const fleet = await useFleet(natsUrl());
  const first = await machineOf(fleet, 'smos-01', 'first', 'of-the-first');
  const second = await machineOf(fleet, 'smos-01', 'second', 'of-the-second');
  const target = await fleet.host('smos-00');
  await target.zpool('create', 'zones');
  await fleet.start('receiver', target, { ZPSEND_ALLOW: '*=zones' });
  await Promise.all([fleet.start('sender', first), fleet.start('sender', first), fleet.start('receiver', first)]);
  const machines = async () => {
    const { machine, instances } = await fleet.ask(subjects.info('smos-01'), {}, infoSchema);
    return [machine.id, ...instances.map((instance) => instance.machine.id)];
  };
  await expect.poll(machines, { timeout: 30_000 }).toEqual([1, 2, 3, 4].map(() => derive('first')));

  for (const service of ['sender', 'receiver'] as const) {
    const refused = await fleet.start(service, second, {}, { waitReady: false });
    await refused.logged('service.failed', { code: 'OTHER_MACHINE' });
    expect(await refused.end()).toBe(2);
  }
  for (const argv of [
    ['send', 'zones/test', 'smos-00:zones/copy'],
    ['snapshots'],
    ['verify', 'zones/test', 'smos-00:zones/copy'],
    ['policies'],
    ['status', 'smos-01'],
    ['abort', 'abcdefghij'],
  ]) {
    const { exitCode, stdout, stderr } = await zpsend(second, ...argv);
    expect([argv[0], exitCode, stdout, codesOf(stderr)]).toEqual([argv[0], 1, '', ['OTHER_MACHINE']]);
  }
  expect(await snapshotsOf(target)).toBe('');

  const { stdout, exitCode } = await zpsend(second, 'doctor', '--json');
  const { checks } = doctorOutputSchema.parse(JSON.parse(stdout));
  const bad = checks.filter(({ result }) => result === 'bad').map(({ what }) => what);
  expect([exitCode, bad]).toEqual([1, ['machine', 'service']]);
  // the first machine is none the worse for it
  const sent = await zpsend(first, 'send', 'zones/test', 'smos-00:zones/copy');
  expect([sent.exitCode, await snapshotsOf(target)]).toEqual([0, 'zones/copy@of-the-first']);
  expect((await zpsend(first, 'doctor')).exitCode).toBe(0);
}, 180_000);

test('one of two machines that start at one moment under one host name serves, and the other logs why it does not', async () => {
  const fleet = await useFleet(natsUrl());
  const machines = await Promise.all(['left', 'right'].map((id) => machineOf(fleet, 'both', id, 'a')));
  const starting = await Promise.all(machines.map((host) => fleet.start('sender', host, {}, { waitReady: false })));
  const outcomes = await Promise.all(
    starting.map((service) =>
      service.logged('service.ready').then(
        () => 'ready',
        () => (service.lines('service.failed', { code: 'OTHER_MACHINE' }).length > 0 ? 'refused' : 'lost'),
      ),
    ),
  );
  expect(outcomes.sort()).toEqual(['ready', 'refused']);
});

test('machines that register one host name at one moment all end with one record', async () => {
  const { bus } = await useFleet(natsUrl());
  const ids = ['a', 'b', 'c', 'd'];
  const ends = await Promise.all(
    ids.map((id) => writeHost(bus, 'contested', (before) => (before ? undefined : record(id)))),
  );
  const [end] = ends;
  expect(ids.map(derive)).toContain(machineIn(end));
  expect(ends).toEqual(ids.map(() => end));
  expect(await readHost(bus, 'contested')).toEqual(end);
});

describe('a machine that was replaced', () => {
  test('keeps its name while its services answer; then the new one takes it over, and the old one starts no more', async () => {
    const fleet = await useFleet(natsUrl());
    const before = await machineOf(fleet, 'smos-02', 'old', 'a');
    const after = await machineOf(fleet, 'smos-02', 'new', 'b');
    const running = await fleet.start('receiver', before);
    const early = await zpsend(after, 'hosts', '--adopt', 'smos-02');
    expect([early.exitCode, codesOf(early.stderr)]).toEqual([1, ['OTHER_MACHINE']]);
    expect(early.stderr).toEqual(mentions('smos-02', 'receiver', `pid ${running.pid}`));
    expect(machineIn(await readHost(fleet.bus, 'smos-02'))).toBe(derive('old'));
    await running.end();
    // no service answers any more, and the name is remembered: a command's own sender is refused too
    const unadopted = await zpsend(after, 'send', '--json', 'zones/test', 'smos-00');
    expect(errorReplySchema.parse(JSON.parse(unadopted.stdout)).error).toMatchObject({
      code: 'OTHER_MACHINE',
      message: mentions('smos-02', derive('old').slice(0, 8), derive('new').slice(0, 8)),
    });
    expect((await zpsend(after, 'hosts', '--adopt', 'smos-03')).exitCode).toBe(2);

    const adopted = await zpsend(after, 'hosts', '--adopt', 'smos-02');
    const [was, is] = [derive('old'), derive('new')].map((id) => id.slice(0, 8));
    expect([adopted.exitCode, adopted.stdout]).toEqual([0, mentions('smos-02', `${is}`, `${was}`)]);
    expect((await zpsend(after, 'hosts', '--adopt', 'smos-02')).exitCode).toBe(0);
    await fleet.start('receiver', after);
    const refused = await fleet.start('receiver', before, {}, { waitReady: false });
    await refused.logged('service.failed', { code: 'OTHER_MACHINE' });
    expect(await refused.end()).toBe(2);
  }, 120_000);

  test('stops its services in words when it sees that its name was taken over', async () => {
    const fleet = await useFleet(natsUrl());
    const running = await fleet.start('sender', await machineOf(fleet, 'smos-04', 'old', 'a'));
    await (await buckets(fleet)).put('smos-04', JSON.stringify(record('new')));
    await running.logged('service.stopping', { code: 'OTHER_MACHINE' });
    expect(await running.end()).toBe(2);
  });

  test('is reported by hosts, and registers its name again when the record is lost', async () => {
    const fleet = await useFleet(natsUrl());
    const host = await machineOf(fleet, 'smos-05', 'one', 'a');
    await fleet.start('receiver', host);
    const identities = ['one', 'two'].map((id) => ({ host: 'smos-05', machine: { id: derive(id) } }));
    const [, self] = identities;
    const stranger = await useBus(natsUrl(), { self });
    const instance = { service: 'receiver', instance: 'strange1', pid: 1, version: '0', machine: self?.machine };
    const limits = {};
    serve(stranger, {
      name: 'info-each',
      subject: subjects.each(subjects.info('smos-05')),
      identifies: true,
      request: snapshotsRequestSchema,
      handle: async () => ({ instances: [instance], limits }),
    });
    await stranger.nc.flush();
    const shown = async () => {
      const { hosts } = hostsOutputSchema.parse(JSON.parse((await zpsend(host, 'hosts', '--json')).stdout));
      return hosts.find(({ host: name }) => name === 'smos-05');
    };
    await expect.poll(shown, { timeout: 60_000 }).toMatchObject({
      registered: { machine: derive('one') },
      fault: mentions(2, 'smos-05'),
    });
    await (await buckets(fleet)).delete('smos-05');
    // it registers a lost record again as soon as it sees a write
    await expect.poll(async () => machineIn(await readHost(fleet.bus, 'smos-05'))).toBe(derive('one'));
    fleet.bus.nc.publish(keySubject(hostsBucket, 'smos-05'), 'no record of ours');
    await expect.poll(async () => machineIn(await readHost(fleet.bus, 'smos-05'))).toBe(derive('one'));
  });
});

test('a job is never carried on with a second machine of its target’s name', async () => {
  const fleet = await useFleet(natsUrl());
  const source = await machineOf(fleet, 'smos-01', 'first', 'a');
  await fleet.start('sender', source);
  const [listing, receiving] = await Promise.all(
    ['one', 'two'].map((id) => useBus(natsUrl(), { self: { host: 'twice', machine: { id: derive(id) } } })),
  );
  if (!listing || !receiving) throw new Error('two machines');
  const pool = { name: 'zones', guid: '1', createtxg: '1', type: 'filesystem', snapshots: [], bookmarks: [] };
  serve(listing, {
    name: 'snapshots',
    subject: subjects.snapshots('twice'),
    request: snapshotsRequestSchema,
    async *handle({ dataset }) {
      yield { host: 'twice', datasets: dataset === 'zones' ? [pool] : [], part: 1, more: false };
    },
  });
  let asked = 0;
  const { stats } = serve(receiving, {
    name: 'recv-start-from',
    subject: subjects.receiveFrom('twice', '*'),
    request: receiveStartSchema,
    handle: async () => {
      asked += 1;
      return {};
    },
  });
  await Promise.all([listing.nc.flush(), receiving.nc.flush()]);
  const job = await fleet.send('smos-01', { dataset: 'zones/test', to: { host: 'twice', dataset: 'zones/new' } });
  expect(job).toMatchObject({ state: 'failed', error: { code: 'OTHER_MACHINE' } });
  expect([stats.requests, asked]).toEqual([1, 0]);
});
