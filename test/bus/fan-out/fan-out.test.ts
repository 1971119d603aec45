import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { openLocks } from '../../../lib/bus/locks/locks.ts';
import { request } from '../../../lib/bus/rpc/request.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { timing } from '../../../lib/time/timing.ts';
import { fanStartedSchema, type Job, jobAbortedSchema, sendStatusSchema } from '../../../schemas/job.ts';
import { rejection } from '../../support/bus.ts';
import { allowing, ask, diverge, usePair } from '../../support/diverging-pair.ts';
import { type Fleet, useFleet } from '../../support/fleet.ts';
import { useGate } from '../../support/gate.ts';
import { mentions } from '../../support/mentions.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import type { ServiceProcess } from '../../support/service.ts';
import type { SimHost } from '../../support/sim-host.ts';

const natsUrl = useNatsAccounts();
const allow = { ZPSEND_ALLOW: '*=pool' };
const sites = ['site-a', 'site-b', 'site-c'];

interface World {
  readonly fleet: Fleet;
  readonly source: SimHost;
  readonly targets: SimHost[];
  readonly receivers: ServiceProcess[];
}

/** A source with `pool/a`, and a receiving host for each site. @param env what is special about the receiver of a site */
async function useWorld(env: Record<string, NodeJS.ProcessEnv> = {}, source: NodeJS.ProcessEnv = {}): Promise<World> {
  const fleet = await useFleet(natsUrl());
  const [from, ...targets] = await Promise.all(['src', ...sites].map((name) => fleet.host(name)));
  if (!from) throw new Error('no source');
  await Promise.all([from, ...targets].map((host) => host.zpool('create', 'pool')));
  await from.zfs('create', 'pool/a');
  await fleet.start('sender', from, source);
  const receivers = await Promise.all(
    targets.map((host) => fleet.start('receiver', host, { ...allow, ...env[host.name] })),
  );
  return { fleet, source: from, targets, receivers };
}

async function snapshot(host: SimHost, dataset: string, bytes: number, ...names: string[]): Promise<void> {
  for (const name of names) {
    await host.zfs('set', `zfs-sim:write=${bytes}`, dataset);
    await host.zfs('snapshot', `${dataset}@${name}`);
  }
}

const start = async ({ fleet }: World, body: object): Promise<string[]> =>
  (await request(fleet.bus, subjects.send('src', 'start'), body, fanStartedSchema, 30_000)).jobs;

const ended = async ({ fleet }: World, jobs: string[]): Promise<Job[]> =>
  Promise.all(jobs.map((job) => fleet.ended('src', job)));

const toAll = { dataset: 'pool/a', to: sites.map((host) => ({ host })) };

/** The `zfs send` runs that made a stream. */
const sends = async (host: SimHost): Promise<string[]> =>
  (await host.processes()).flatMap(({ argv: [, verb, ...rest] }) =>
    verb === 'send' && !rest.some((word) => /^-\w*n/.test(word)) ? [rest.join(' ')] : [],
  );

const list = (host: SimHost): Promise<string> =>
  host.zfs('list', '-Hp', '-r', '-t', 'snapshot', '-o', 'name,guid', 'pool');

async function expectEqual({ fleet, source, targets }: World): Promise<void> {
  const all = await list(source);
  for (const target of targets) expect(await list(target)).toBe(all);
  const names = all.split('\n').map((line) => line.split('\t')[0] ?? '');
  expect(await source.zfs('holds', '-H', ...names)).toBe('');
  const locks = await openLocks(fleet.bus, 4);
  await expect.poll(() => locks.list(), { timeout: 30_000 }).toEqual([]);
}

test('steps of several targets are read once, and each target has its own job and result', async () => {
  const world = await useWorld();
  await snapshot(world.source, 'pool/a', 3_000_000, '1', '2', '3');
  const jobs = await ended(world, await start(world, toAll));
  expect(jobs.map(({ state, done, request }) => [request.to.host, state, done])).toEqual(
    sites.map((host) => [host, 'done', 3]),
  );
  await expectEqual(world);
  expect(await sends(world.source)).toHaveLength(3);
});

test('a package is read once as well', async () => {
  const world = await useWorld();
  await world.source.zfs('create', 'pool/a/x');
  await world.source.zfs('create', 'pool/a/y');
  for (const name of ['1', '2']) await world.source.zfs('snapshot', '-r', `pool/a@${name}`);
  const jobs = await ended(world, await start(world, { ...toAll, package: 'replication' }));
  expect(jobs.map(({ state, done }) => [state, done])).toEqual(sites.map(() => ['done', 6]));
  await expectEqual(world);
  expect(await sends(world.source)).toHaveLength(6);
});

test('a target that has some of it gets that part by itself, and shares what all need', async () => {
  const world = await useWorld();
  await snapshot(world.source, 'pool/a', 1_000_000, '1', '2');
  expect((await world.fleet.send('src', { dataset: 'pool/a@1', to: { host: 'site-a' } })).state).toBe('done');
  await snapshot(world.source, 'pool/a', 1_000_000, '3');
  const before = (await sends(world.source)).length;
  const jobs = await ended(world, await start(world, toAll));
  expect(jobs.map(({ state, done }) => [state, done])).toEqual([
    ['done', 2],
    ['done', 3],
    ['done', 3],
  ]);
  await expectEqual(world);
  // the seed for two, and two increments for all three
  expect((await sends(world.source)).length - before).toBe(3);
});

test('one that takes the stream compressed and one that asks nothing of the wire read along together', async () => {
  const world = await useWorld({}, { ZFS_SIM_ZEROS: '0.5' });
  await snapshot(world.source, 'pool/a', 3_000_000, '1', '2');
  const jobs = await ended(world, await start(world, { ...toAll, compression: 'zstd' }));
  for (const job of jobs) expect(job.compressedBytes).toBeLessThan(job.bytes * 0.8);
  await expectEqual(world);
  expect(await sends(world.source)).toHaveLength(2);
});

test('a target that fails does not disturb the others: one is not allowed, one is full, one is absent', async () => {
  const world = await useWorld({ 'site-a': { ZPSEND_ALLOW: '*=pool/elsewhere' } });
  await snapshot(world.source, 'pool/a', 3_000_000, '1', '2');
  await world.targets[1]?.zfs('set', 'quota=1M', 'pool');
  const to = [...sites, 'absent'].map((host) => ({ host }));
  const jobs = await ended(world, await start(world, { ...toAll, to }));
  expect(jobs.map(({ state, error }) => [state, error?.code])).toEqual([
    ['failed', 'NOT_ALLOWED'],
    ['failed', 'NO_SPACE'],
    ['done', undefined],
    ['failed', 'UNREACHABLE'],
  ]);
  expect(await list(world.targets[2] as SimHost)).toBe(await list(world.source));
});

test('a slow target continues alone from its offset, and the others are done long before it', async () => {
  const world = await useWorld({ 'site-c': { ZFS_SIM_RECV_RATE: '2M' } });
  await snapshot(world.source, 'pool/a', 40_000_000, '1');
  const ids = await start(world, toAll);
  await ended(world, ids.slice(0, 2));
  expect((await world.fleet.status('src', ids[2] ?? ''))?.state).not.toBe('done');
  const [straggler] = await ended(world, ids.slice(2));
  expect(straggler?.state).toBe('done');
  await expectEqual(world);
  const [shared, own, ...more] = await sends(world.source);
  expect(more).toEqual([]);
  expect(shared).toContain('pool/a@1');
  expect(own).toMatch(/^-t /);
}, 120_000);

test.each<[string, 'SIGKILL' | 'SIGTERM']>([
  ['is killed', 'SIGKILL'],
  ['is stopped', 'SIGTERM'],
])(
  'a receiver that %s in the middle comes back and gets the rest, the others continue',
  async (_what, signal) => {
    const rate = { ZFS_SIM_RECV_RATE: '4M' };
    const world = await useWorld(Object.fromEntries(sites.map((site) => [site, rate])));
    const [victim, host] = [world.receivers[2], world.targets[2]];
    if (!victim || !host) throw new Error('no victim');
    await snapshot(world.source, 'pool/a', 20_000_000, '1', '2');
    const jobs = await start(world, toAll);
    await victim.logged('receive.started', { snapshot: 'pool/a@1' });
    await victim.end(signal);
    await world.fleet.start('receiver', host, { ...allow, ...rate });
    expect((await ended(world, jobs)).map(({ state, done }) => [state, done])).toEqual(sites.map(() => ['done', 2]));
    await expectEqual(world);
  },
  120_000,
);

test('one job that is aborted leaves the others alone', async () => {
  const rate = { ZFS_SIM_RECV_RATE: '8M' };
  const world = await useWorld(Object.fromEntries(sites.map((site) => [site, rate])));
  await snapshot(world.source, 'pool/a', 20_000_000, '1', '2');
  const ids = await start(world, toAll);
  await expect
    .poll(async () => (await world.fleet.status('src', ids[0] ?? ''))?.bytes, { timeout: 30_000 })
    .toBeGreaterThan(0);
  await world.fleet.ask(subjects.send('src', 'abort'), { job: ids[0] }, jobAbortedSchema);
  const [aborted, ...others] = await ended(world, ids);
  expect(aborted).toMatchObject({ state: 'failed', error: { code: 'ABORTED' } });
  expect(others.map(({ state, done }) => [state, done])).toEqual([
    ['done', 2],
    ['done', 2],
  ]);
  expect(await sends(world.source)).toHaveLength(2);
  expect((await ended(world, await start(world, { ...toAll, to: [{ host: 'site-a' }] })))[0]?.state).toBe('done');
  await expectEqual(world);
});

test('a zfs send that fails is a failure for all, and no snapshot anywhere', async () => {
  const world = await useWorld({}, { ZFS_SIM_FAIL: 'send:cannot send pool/a@1: Input/output error' });
  await snapshot(world.source, 'pool/a', 5_000_000, '1');
  const jobs = await ended(world, await start(world, toAll));
  expect(jobs.map(({ state, error }) => [state, error?.message.includes('Input/output error')])).toEqual(
    sites.map(() => ['failed', true]),
  );
  for (const target of world.targets) expect(await list(target)).toBe('');
  expect(await world.source.zfs('holds', '-H', 'pool/a@1')).toBe('');
});

test.each([
  ['a target twice', { ...toAll, to: [{ host: 'site-a' }, { host: 'site-a', dataset: 'pool/a' }] }, 'pool/a'],
  [
    'a package inside another',
    { ...toAll, package: 'replication', to: [{ host: 'site-a' }, { host: 'site-a', dataset: 'pool/a/b' }] },
    'overlap',
  ],
  ['no target', { ...toAll, to: [] }, 'to'],
  ['too many', { ...toAll, to: Array.from({ length: 17 }, (_, at) => ({ host: `h${at}` })) }, 'to'],
  ['the name that stands for all', { ...toAll, to: [{ host: '_fan' }] }, '_fan'],
])('refused, and nothing is started: %s', async (_what, body, fact) => {
  const fleet = await useFleet(natsUrl());
  const host = await fleet.host('src');
  await host.zpool('create', 'pool');
  await fleet.start('sender', host);
  const error = await rejection(request(fleet.bus, subjects.send('src', 'start'), body, fanStartedSchema));
  expect(error).toMatchObject({ code: 'BAD_REQUEST', message: mentions(fact) });
  expect((await fleet.ask(subjects.send('src', 'status'), {}, sendStatusSchema)).jobs).toEqual([]);
});

test('no target waits for one that resolves a conflict, and that one gets the time it needs', async () => {
  const pair = await usePair(natsUrl());
  const { fleet, target, source } = pair;
  const other = await fleet.host('smos-02');
  await other.zpool('create', 'zones');
  const gate = await useGate(target);
  await fleet.start('receiver', target, { ...(await allowing('rollback')), ...gate.env });
  await fleet.start('receiver', other, { ZPSEND_ALLOW: '*=zones' });
  await fleet.start('sender', source);
  await diverge(pair);
  expect((await fleet.send('smos-01', { dataset: 'zones/test@b', to: { host: 'smos-02' } })).state).toBe('done');
  await gate.shut('destroy');
  const to = [ask().to, { host: 'smos-02' }];
  const asked = { dataset: 'zones/test', conflict: 'rollback', to };
  const { jobs } = await request(fleet.bus, subjects.send('smos-01', 'start'), asked, fanStartedSchema, 30_000);
  await gate.reached('destroy');
  expect((await fleet.ended('smos-01', jobs[1] ?? '')).state).toBe('done');
  // longer than a fan-out waits for a receiver
  await sleep(timing.job.participantMs + 2000);
  await gate.open('destroy');
  expect(await fleet.ended('smos-01', jobs[0] ?? '')).toMatchObject({ state: 'done' });
}, 120_000);
