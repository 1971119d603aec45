import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { openLocks } from '../../../lib/bus/locks/locks.ts';
import { joinPlan } from '../../../lib/bus/rpc/plan-parts.ts';
import { requestMany } from '../../../lib/bus/rpc/request.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { type Job, jobAbortedSchema } from '../../../schemas/job.ts';
import { planPartSchema } from '../../../schemas/plan.ts';
import { type Fleet, useFleet } from '../../support/fleet.ts';
import { mentions } from '../../support/mentions.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import type { SimHost } from '../../support/sim-host.ts';

const natsUrl = useNatsAccounts();

interface Pair {
  fleet: Fleet;
  source: SimHost;
  target: SimHost;
}

const allow = { ZPSEND_ALLOW: '*=pool' };
/** Slow enough that a transfer of `big` takes seconds, so that something can happen in its middle. */
const slow = { ...allow, ZFS_SIM_RECV_RATE: '8M' };
const big = 30_000_000;

/** Two hosts with a pool each; no service runs yet. */
async function usePair(): Promise<Pair> {
  const fleet = await useFleet(natsUrl());
  const [source, target] = await Promise.all([fleet.host('smos-01'), fleet.host('smos-00')]);
  await Promise.all([source, target].map((host) => host.zpool('create', 'pool')));
  return { fleet, source, target };
}

/** A dataset with the named snapshots, each so many bytes further. */
async function fill(host: SimHost, dataset: string, bytes: number, ...snapshots: string[]): Promise<void> {
  for (const name of snapshots) {
    await host.zfs('set', `zfs-sim:write=${bytes}`, dataset);
    await host.zfs('snapshot', `${dataset}@${name}`);
  }
}

/** pool/tree and two datasets below it that take seconds to send. */
async function useTree(): Promise<Pair> {
  const pair = await usePair();
  const { source } = pair;
  await source.zfs('create', 'pool/tree');
  await source.zfs('create', 'pool/tree/x');
  await source.zfs('create', 'pool/tree/y');
  await source.zfs('snapshot', '-r', 'pool/tree@0');
  await fill(source, 'pool/tree/x', big, '1', '2');
  await fill(source, 'pool/tree/y', big, '1', '2');
  return pair;
}
const tree = { dataset: 'pool/tree', to: { host: 'smos-00' }, package: 'replication' };

/** Every dataset and snapshot below, with its guid; of a clone the origin too. */
const everything = async (host: SimHost, root: string): Promise<string[]> =>
  (await host.zfs('list', '-Hp', '-r', '-t', 'filesystem,volume,snapshot', '-o', 'name,type,guid,origin', root))
    .split('\n')
    .map((line) => line.split('\t'))
    // a dataset has another guid on each side
    .map(([name, type, guid, origin]) => (type === 'snapshot' ? `${name} ${guid}` : `${name} ${type} ${origin}`))
    .sort();

const snapshotsOf = (all: readonly string[]): string[] => all.flatMap((line) => line.match(/^\S+@\S+/)?.[0] ?? []);

const holds = async (host: SimHost, root: string): Promise<string> =>
  (await host.zfs('holds', '-H', ...snapshotsOf(await everything(host, root)))).trim();

async function expectClean({ fleet, source }: Pair): Promise<void> {
  expect(await holds(source, 'pool')).toBe('');
  const locks = await openLocks(fleet.bus, 4);
  await expect.poll(() => locks.list(), { timeout: 30_000 }).toEqual([]);
}

const statesOf = (job: Job | undefined): Record<string, string> =>
  Object.fromEntries((job?.datasets.list ?? []).map(({ dataset, state }) => [dataset, state]));

/** Resolves with the job when that many of its datasets have sent some bytes. */
async function underWay({ fleet }: Pair, id: string, count: number): Promise<Job> {
  for (;;) {
    const job = await fleet.status('smos-01', id);
    const running = job?.datasets.list.filter(({ state, bytes }) => state === 'running' && bytes > 1_000_000) ?? [];
    if (job && running.length >= count) return job;
    if (job && ['done', 'failed'].includes(job.state)) throw new Error(JSON.stringify(job));
    await sleep(50);
  }
}

/** The document's tree: clones of clones, one of them of a snapshot outside the package. */
async function useDocumentsTree(): Promise<Pair> {
  const pair = await usePair();
  const { source } = pair;
  for (const name of ['pool/a', 'pool/a/1', 'pool/b']) await source.zfs('create', name);
  await fill(source, 'pool/a/1', 100_000, 'clone');
  await source.zfs('clone', 'pool/a/1@clone', 'pool/b/1');
  await fill(source, 'pool/b/1', 100_000, 'clone2');
  await source.zfs('clone', 'pool/b/1@clone2', 'pool/b/2');
  for (const name of ['pre-send', 'send']) {
    await source.zfs('set', 'zfs-sim:write=50000', 'pool/b/2');
    await source.zfs('snapshot', '-r', `pool/b@${name}`);
  }
  return pair;
}
const replication = { dataset: 'pool/b@send', to: { host: 'smos-00' }, package: 'replication' };

test('a package with clones of clones arrives with equal guids and origins, and a second run does nothing', async () => {
  const pair = await useDocumentsTree();
  const { fleet, source, target } = pair;
  await fleet.start('receiver', target, allow);
  await fleet.start('sender', source);

  const missing = await fleet.send('smos-01', replication);
  expect(missing).toMatchObject({ state: 'failed', done: 0, error: { code: 'ORIGIN_MISSING' } });
  expect(await everything(target, 'pool'), 'nothing was sent').toEqual(['pool filesystem -']);

  const origin = await fleet.send('smos-01', { dataset: 'pool/a/1', to: { host: 'smos-00' } });
  expect(origin).toMatchObject({ state: 'done', done: 1, datasets: { total: 1, done: 1, failed: 0 } });
  const job = await fleet.send('smos-01', replication);
  expect(job.error).toBeUndefined();
  expect(job).toMatchObject({ state: 'done', steps: 7, done: 7, datasets: { total: 3, done: 3, failed: 0 } });
  expect(await everything(target, 'pool/b')).toEqual(await everything(source, 'pool/b'));

  expect(await fleet.send('smos-01', replication)).toMatchObject({ state: 'done', steps: 0, bytes: 0 });
  await expectClean(pair);
});

test('an origin is found also in another dataset of the target’s pool, below another name', async () => {
  const pair = await useDocumentsTree();
  const { fleet, source, target } = pair;
  await fleet.start('receiver', target, allow);
  await fleet.start('sender', source);
  const elsewhere = { host: 'smos-00', dataset: 'pool/kept/old' };
  expect(await fleet.send('smos-01', { dataset: 'pool/a/1', to: elsewhere })).toMatchObject({ state: 'done' });
  const job = await fleet.send('smos-01', { ...replication, to: { host: 'smos-00', dataset: 'pool/backup/b' } });
  expect(job).toMatchObject({ state: 'done', done: 7 });
  const there = await everything(target, 'pool/backup/b');
  expect(there).toContain('pool/backup/b/1 filesystem pool/kept/old@clone');
  expect(there).toContain('pool/backup/b/2 filesystem pool/backup/b/1@clone2');
});

test('a target whose pool does not exist is NO_SUCH_DATASET, with the pool’s name', async () => {
  const { fleet, source, target } = await useDocumentsTree();
  await fleet.start('receiver', target, allow);
  await fleet.start('sender', source);
  const job = await fleet.send('smos-01', { ...replication, to: { host: 'smos-00', dataset: 'tank/backup/b' } });
  expect(job).toMatchObject({ state: 'failed', error: { code: 'NO_SUCH_DATASET', details: { pool: 'tank' } } });
  expect(job.error?.message).toEqual(mentions('tank', 'smos-00'));
});

test('a plan of many steps comes with ZFS’s own sizes, and with what else is to be known', async () => {
  const { fleet, source, target } = await usePair();
  await source.zfs('create', 'pool/tree');
  await source.zfs('zfs-sim-fill', 'pool/tree', '30', '1M');
  await source.zfs('create', 'pool/tree/x');
  await fleet.start('receiver', target, allow);
  await fleet.start('sender', source);
  const body = { dataset: 'pool/tree@s000030', to: { host: 'smos-00', dataset: 'pool/backup/tree' } };
  const whole = { ...body, package: 'replication', skipMissing: true };
  const replies = await requestMany(fleet.bus, subjects.send('smos-01', 'plan'), whole, planPartSchema);
  const plan = joinPlan(replies).plan;
  if (!plan?.ok) throw new Error(JSON.stringify(plan));
  expect(plan.steps).toHaveLength(30);
  for (const [n, { size }] of plan.steps.entries()) {
    const name = (at: number) => `pool/tree@s${String(at).padStart(6, '0')}`;
    if (n % 10 !== 5) continue;
    expect(await source.zfs('send', '-nP', '-Lc', '-i', name(n), name(n + 1))).toMatch(
      new RegExp(`^size\\t${size}$`, 'm'),
    );
  }
  expect(plan.notes?.map(({ kind, dataset }) => `${kind} ${dataset}`).sort()).toEqual([
    'placeholder pool/backup',
    'skipped pool/tree/x',
  ]);
});

test('two datasets of a package are sent at once, and no more than the request allows', async () => {
  const pair = await useTree();
  const { fleet, source, target } = pair;
  await fleet.start('receiver', target, slow);
  await fleet.start('sender', source);
  const id = await fleet.begin('smos-01', tree);
  const both = await underWay(pair, id, 2);
  expect(statesOf(both)).toEqual({ 'pool/tree': 'done', 'pool/tree/x': 'running', 'pool/tree/y': 'running' });
  expect(both).toMatchObject({ state: 'running', current: { targetDataset: expect.stringContaining('pool/tree/') } });
  expect(await fleet.ended('smos-01', id)).toMatchObject({ state: 'done', done: 7 });
  await expectClean(pair);

  await target.zfs('destroy', '-r', 'pool/tree');
  const alone = await fleet.begin('smos-01', { ...tree, parallel: 1 });
  expect(statesOf(await underWay(pair, alone, 1))).toEqual({
    'pool/tree': 'done',
    'pool/tree/x': 'running',
    'pool/tree/y': 'pending',
  });
  await fleet.ask(subjects.send('smos-01', 'abort'), { job: alone }, jobAbortedSchema);
  await fleet.ended('smos-01', alone);
});

test('a receiver with room for one takes the datasets in turn, and no dataset fails because it is busy', async () => {
  const pair = await useTree();
  const { fleet, source, target } = pair;
  await fleet.start('receiver', target, { ...slow, ZPSEND_MAX_CONCURRENT: '1' });
  const sender = await fleet.start('sender', source, { ZPSEND_PATIENCE_SECONDS: '0', ZPSEND_PARALLEL: '3' });
  const id = await fleet.begin('smos-01', tree);
  const waiting = async () =>
    (await fleet.status('smos-01', id))?.datasets.list.find(({ state }) => state === 'waiting')?.error;
  await expect.poll(waiting, { timeout: 20_000 }).toMatchObject({ code: 'BUSY', details: { reason: 'queued' } });
  expect(await fleet.ended('smos-01', id)).toMatchObject({ state: 'done', done: 7 });
  expect(sender.lines('job.waiting', { code: 'BUSY' })).not.toEqual([]);
  expect(await everything(target, 'pool/tree')).toEqual(await everything(source, 'pool/tree'));
});

test('a dataset that has diverged does not stop the others, and the job lists each', async () => {
  const pair = await useTree();
  const { fleet, source, target } = pair;
  await fleet.start('receiver', target, allow);
  const sender = await fleet.start('sender', source);
  await fleet.send('smos-01', { dataset: 'pool/tree', to: { host: 'smos-00' } });
  await target.zfs('create', 'pool/tree/x');
  await target.zfs('snapshot', 'pool/tree/x@theirs');
  const job = await fleet.send('smos-01', tree);
  expect(job).toMatchObject({
    state: 'failed',
    done: 3,
    datasets: { total: 3, done: 2, failed: 1 },
    error: { code: 'DIVERGED' },
  });
  expect(job.error?.message).toEqual(mentions('1 of 3', 'pool/tree/x'));
  expect(job.datasets.list.map(({ dataset, state }) => `${dataset} ${state}`)).toEqual([
    'pool/tree/x refused',
    'pool/tree done',
    'pool/tree/y done',
  ]);
  expect(job.datasets.list[0]?.error?.code).toBe('DIVERGED');
  expect(await everything(target, 'pool/tree/y')).toEqual(await everything(source, 'pool/tree/y'));
  expect(sender.lines('dataset.refused', { code: 'DIVERGED' })).toHaveLength(1);
  await expectClean(pair);
});

test('datasets below one that fails are not sent, and have the reason; its siblings are sent', async () => {
  const pair = await useTree();
  const { fleet, source, target } = pair;
  await source.zfs('create', 'pool/tree/x/deep');
  await source.zfs('snapshot', 'pool/tree/x/deep@1');
  const receiver = await fleet.start('receiver', target, allow);
  await fleet.start('sender', source);
  await fleet.send('smos-01', { dataset: 'pool/tree', to: { host: 'smos-00' } });
  await receiver.end();
  await fleet.start('receiver', target, { ZPSEND_ALLOW: '*=pool/tree/y' });
  const job = await fleet.send('smos-01', tree);
  expect(job).toMatchObject({ state: 'failed', datasets: { total: 4, done: 2, failed: 2 } });
  expect(job.error?.code).toBe('NOT_ALLOWED');
  const deep = job.datasets.list.find(({ dataset }) => dataset === 'pool/tree/x/deep');
  expect(deep).toMatchObject({
    state: 'failed',
    done: 0,
    error: { code: 'NOT_ALLOWED', details: { needs: 'pool/tree/x' } },
  });
  expect(deep?.error?.message).toEqual(mentions('pool/tree/x'));
  expect(await everything(target, 'pool/tree/y')).toEqual(await everything(source, 'pool/tree/y'));
});

test('an abort ends every running dataset and leaves no hold and no lock', async () => {
  const pair = await useTree();
  const { fleet, source, target } = pair;
  await fleet.start('receiver', target, slow);
  await fleet.start('sender', source);
  const id = await fleet.begin('smos-01', tree);
  await underWay(pair, id, 2);
  const tags = (await holds(source, 'pool/tree'))
    .split('\n')
    .map((line) => line.split('\t')[1]?.replace(/\.[0-9a-f]{8}$/, ''));
  expect(new Set(tags)).toEqual(new Set([`zpsend:${id}.1`, `zpsend:${id}.2`]));
  await fleet.ask(subjects.send('smos-01', 'abort'), { job: id }, jobAbortedSchema);
  const job = await fleet.ended('smos-01', id);
  expect(job).toMatchObject({ state: 'failed', error: { code: 'ABORTED' }, datasets: { done: 1, failed: 2 } });
  await expectClean(pair);
});

test('I3: a snapshot destroyed during the run is skipped by its dataset, and the others continue', async () => {
  const pair = await useTree();
  const { fleet, source, target } = pair;
  await fill(source, 'pool/tree/x', 1000, '3', '4');
  await fleet.start('receiver', target, slow);
  await fleet.start('sender', source);
  const id = await fleet.begin('smos-01', tree);
  await underWay(pair, id, 2);
  await source.zfs('destroy', 'pool/tree/x@3');
  const job = await fleet.ended('smos-01', id);
  expect(job).toMatchObject({ state: 'done', steps: 8, done: 8 });
  expect(await everything(target, 'pool/tree')).toEqual(await everything(source, 'pool/tree'));
});

test('a dataset that is renamed on the target in the middle is not replaced by an empty one', async () => {
  const pair = await useTree();
  const { fleet, source, target } = pair;
  await fleet.start('receiver', target, slow);
  await fleet.start('sender', source);
  const id = await fleet.begin('smos-01', { ...tree, parallel: 1 });
  await underWay(pair, id, 1);
  await target.zfs('rename', 'pool/tree', 'pool/old');
  const job = await fleet.ended('smos-01', id);
  expect(job.state).toBe('failed');
  const y = job.datasets.list.find(({ dataset }) => dataset === 'pool/tree/y');
  expect(y).toMatchObject({ state: 'failed', error: { code: 'NO_SUCH_DATASET' } });
  expect(await target.zfs('list', '-H', '-o', 'name', '-d', '1', 'pool')).toBe('pool\npool/old');
});

test('I3: what a step holds is released also where its dataset was renamed meanwhile', async () => {
  const pair = await useTree();
  const { fleet, source, target } = pair;
  await fleet.start('receiver', target, slow);
  await fleet.start('sender', source);
  const id = await fleet.begin('smos-01', { ...tree, parallel: 1 });
  await underWay(pair, id, 1);
  await source.zfs('rename', 'pool/tree/x', 'pool/moved');
  await fleet.ended('smos-01', id);
  expect(await source.zfs('holds', '-H', 'pool/moved@0', 'pool/moved@1', 'pool/moved@2')).toBe('');
});

test('I9: a sender killed in the middle of a package: the same request completes it, and no hold or lock is left', async () => {
  const pair = await useTree();
  const { fleet, source, target } = pair;
  await source.zfs('clone', 'pool/tree/x@1', 'pool/tree/clone');
  await fill(source, 'pool/tree/clone', 1000, '1');
  await fleet.start('receiver', target, slow);
  const sender = await fleet.start('sender', source);
  await underWay(pair, await fleet.begin('smos-01', tree), 2);
  expect(await sender.end('SIGKILL')).toBe('SIGKILL');
  expect(await holds(source, 'pool/tree')).toContain('zpsend:');

  await fleet.start('sender', source);
  const job = await fleet.send('smos-01', tree);
  expect(job.error).toBeUndefined();
  expect(job.state).toBe('done');
  expect(job.bytes, 'what had come is not sent again').toBeLessThan(4 * big);
  expect(await everything(target, 'pool/tree')).toEqual(await everything(source, 'pool/tree'));
  await expectClean(pair);
});
