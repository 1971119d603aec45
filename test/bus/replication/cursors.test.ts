import { execa } from 'execa';
import { expect, test } from 'vitest';
import { subjects } from '../../../lib/bus/subjects.ts';
import { jobAbortedSchema } from '../../../schemas/job.ts';
import { type Fleet, quick, useFleet } from '../../support/fleet.ts';
import { useGate } from '../../support/gate.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import { program } from '../../support/program.ts';
import type { SimHost } from '../../support/sim-host.ts';

const natsUrl = useNatsAccounts();

const body = { dataset: 'zones/test', to: { host: 'smos-00' } };
const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');

/** The cursors of a dataset: name and guid. */
const cursors = async (host: SimHost, dataset = 'zones/test'): Promise<string[]> =>
  lines(await host.zfs('list', '-Hp', '-t', 'bookmark', '-o', 'name,guid', dataset));
const guidOf = (host: SimHost, name: string): Promise<string> => host.zfs('get', '-Hp', '-o', 'value', 'guid', name);
const snapshots = async (host: SimHost, dataset = 'zones/test'): Promise<string[]> =>
  lines(await host.zfs('list', '-Hp', '-t', 'snapshot', '-o', 'name', '-s', 'createtxg', dataset));
const holds = async (host: SimHost, dataset = 'zones/test'): Promise<string[]> => {
  const all = await snapshots(host, dataset);
  return all.length === 0 ? [] : lines(await host.zfs('holds', '-H', ...all)).map((line) => line.split('\t')[1] ?? '');
};

async function snapshot(host: SimHost, name: string, bytes = 100_000): Promise<void> {
  await host.zfs('set', `zfs-sim:write=${bytes}`, name.split('@')[0] ?? '');
  await host.zfs('snapshot', name);
}

interface Pair {
  fleet: Fleet;
  source: SimHost;
  target: SimHost;
}

async function usePair(...names: string[]): Promise<Pair> {
  const fleet = await useFleet(natsUrl());
  const [source, target] = await Promise.all([fleet.host('smos-01'), fleet.host('smos-00')]);
  await source.zpool('create', 'zones');
  await target.zpool('create', 'zones');
  await source.zfs('create', 'zones/test');
  for (const name of names) await snapshot(source, `zones/test@${name}`);
  return { fleet, source, target };
}

const startBoth = async ({ fleet, source, target }: Pair, env: NodeJS.ProcessEnv = {}) => {
  await fleet.start('receiver', target, { ZPSEND_ALLOW: '*=zones', ...env });
  return fleet.start('sender', source, env);
};

const doctor = (host: SimHost, ...args: string[]) =>
  execa(process.execPath, [program, 'doctor', '--json', ...args], {
    env: { ...host.env, ...quick, NATS_URL: natsUrl() },
    extendEnv: false,
    reject: false,
  });

async function expectCursorOf({ source }: Pair, guid: string, dataset = 'zones/test'): Promise<void> {
  const found = await cursors(source, dataset);
  expect(found).toHaveLength(1);
  expect(found[0]).toMatch(new RegExp(`^${dataset}#zpsend_smos-00_[0-9a-f]{8}_${guid}\t${guid}$`));
}

test('the source may destroy all its snapshots, and the next incremental still arrives', async () => {
  const pair = await usePair('a', 'b');
  const { fleet, source, target } = pair;
  await startBoth(pair);
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done', done: 2 });
  await expectCursorOf(pair, await guidOf(source, 'zones/test@b'));
  expect(await holds(source)).toEqual([]);

  await source.zfs('destroy', 'zones/test@a,b');
  await snapshot(source, 'zones/test@c');
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done', done: 1 });
  expect(await snapshots(target)).toEqual(['zones/test@a', 'zones/test@b', 'zones/test@c']);
  await expectCursorOf(pair, await guidOf(source, 'zones/test@c'));
});

test('I3: from one step to the next its base keeps its hold, and the last has its cursor before its hold goes', async () => {
  const pair = await usePair('a', 'b', 'c');
  const { fleet, source } = pair;
  await startBoth(pair);
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done', done: 3 });
  const verbs = ['hold', 'release', 'bookmark', 'destroy'];
  const ran = (await source.processes()).map(({ argv: [, verb = '', ...rest] }) =>
    [verb, ...rest.filter((word) => word.includes('@')).map((name) => name.split('@')[1])].join(' '),
  );
  expect(ran.filter((line) => verbs.includes(line.split(' ')[0] ?? ''))).toEqual([
    'hold a',
    'hold a b',
    'release a',
    'hold b c',
    'bookmark c',
    'release b c',
  ]);
});

test('I3: a job that is aborted between two steps leaves no hold', async () => {
  const pair = await usePair('a', 'b', 'c', 'd');
  const { fleet, source } = pair;
  const gate = await useGate(source);
  await startBoth(pair, gate.env);
  await gate.shut('release');
  const job = await fleet.begin('smos-01', body);
  await gate.reached('release');
  await fleet.ask(subjects.send('smos-01', 'abort'), { job }, jobAbortedSchema);
  await gate.open('release');
  expect(await fleet.ended('smos-01', job)).toMatchObject({ state: 'failed', error: { code: 'ABORTED' }, done: 2 });
  expect(await holds(source)).toEqual([]);
});

test('a run that finds nothing to do sets the cursor where it lacks, and leaves other bookmarks alone', async () => {
  const pair = await usePair('a');
  const { fleet, source } = pair;
  await startBoth(pair);
  await fleet.send('smos-01', body);
  const [cursor = ''] = await cursors(source);
  await source.zfs('bookmark', 'zones/test@a', 'zones/test#zpsend_mine');
  await source.zfs('destroy', cursor.split('\t')[0] ?? '');
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done', done: 0 });
  expect(await cursors(source)).toEqual(expect.arrayContaining([cursor, expect.stringContaining('#zpsend_mine')]));
});

test('every target has its own cursor, and continues from it', async () => {
  const pair = await usePair('a');
  const { fleet, source } = pair;
  const other = await fleet.host('smos-02');
  await other.zpool('create', 'zones');
  await startBoth(pair);
  await fleet.start('receiver', other, { ZPSEND_ALLOW: '*=zones' });
  const toOther = { ...body, to: { host: 'smos-02' } };
  for (const request of [body, toOther]) expect(await fleet.send('smos-01', request)).toMatchObject({ state: 'done' });
  await snapshot(source, 'zones/test@b');
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done', done: 1 });
  await snapshot(source, 'zones/test@c');
  await source.zfs('destroy', 'zones/test@a,b');

  const names = await cursors(source);
  expect(names.filter((name) => name.includes('zpsend_smos-00_'))).toHaveLength(1);
  expect(names.filter((name) => name.includes('zpsend_smos-02_'))).toHaveLength(1);
  for (const request of [body, toOther]) {
    expect(await fleet.send('smos-01', request)).toMatchObject({ state: 'done', done: 1 });
  }
  expect(await snapshots(other)).toEqual(['zones/test@a', 'zones/test@c']);
  expect(await cursors(source)).toHaveLength(2);
}, 180_000);

test('a renamed dataset keeps its cursor, and a new one of its old name has none', async () => {
  const pair = await usePair('a');
  const { fleet, source, target } = pair;
  await startBoth(pair);
  await fleet.send('smos-01', body);
  await source.zfs('rename', 'zones/test', 'zones/moved');
  await snapshot(source, 'zones/moved@b');
  await source.zfs('destroy', 'zones/moved@a');
  const moved = { dataset: 'zones/moved', to: { host: 'smos-00', dataset: 'zones/test' } };
  expect(await fleet.send('smos-01', moved)).toMatchObject({ state: 'done', done: 1 });
  await expectCursorOf(pair, await guidOf(source, 'zones/moved@b'), 'zones/moved');

  await source.zfs('create', 'zones/test');
  await snapshot(source, 'zones/test@b');
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'failed', error: { code: 'DIVERGED' } });
  expect(await cursors(source)).toEqual([]);
  expect(await snapshots(target)).toEqual(['zones/test@a', 'zones/test@b']);
});

test.each([
  ['send.bookmarks off', { ZPSEND_BOOKMARKS: 'off' }, 0],
  ['a pool without bookmarks', { ZFS_SIM_FAIL: "bookmark:cannot create bookmark 'x': permission denied" }, 1],
])('with %s the job continues without a cursor', async (_, env, warnings) => {
  const pair = await usePair('a', 'b');
  const sender = await startBoth(pair, env);
  expect(await pair.fleet.send('smos-01', body)).toMatchObject({ state: 'done', done: 2 });
  expect(await cursors(pair.source)).toEqual([]);
  expect([...sender.lines('cursor.failed'), ...sender.lines('cursor.name-too-long')]).toHaveLength(warnings);
});

test('a sender that stops in mid-chain leaves the cursor of the last arrival, and no hold', async () => {
  const pair = await usePair('a');
  const { fleet, source } = pair;
  await snapshot(source, 'zones/test@big', 60_000_000);
  const sender = await startBoth(pair, { ZFS_SIM_RECV_RATE: '8M' });
  const job = await fleet.begin('smos-01', body);
  const sent = async () => (await fleet.status('smos-01', job))?.bytes ?? 0;
  await expect.poll(sent, { timeout: 30_000 }).toBeGreaterThan(8_000_000);
  expect(await sender.end('SIGTERM')).toBe(0);
  await expectCursorOf(pair, await guidOf(source, 'zones/test@a'));
  expect(await holds(source)).toEqual([]);
});

test('I9: a sender killed at some point of a chain, again and again: its holds keep the base, and the next run leaves one cursor and no hold', async () => {
  const names = Array.from({ length: 12 }, (_, at) => `s${at}`);
  const pair = await usePair(...names);
  const { fleet, source, target } = pair;
  await fleet.start('receiver', target, { ZPSEND_ALLOW: '*=zones', ZFS_SIM_RECV_RATE: '2M' });
  for (let kill = 0; kill < 3; kill++) {
    const sender = await fleet.start('sender', source);
    const job = await fleet.begin('smos-01', body);
    const point = 1 + Math.floor(Math.random() * 3);
    await expect
      .poll(async () => (await fleet.status('smos-01', job))?.done ?? 0, { timeout: 60_000, interval: 20 })
      .toBeGreaterThanOrEqual(point);
    await sender.end('SIGKILL');
    // a pruner destroys all snapshots without a hold
    const there = await snapshots(target);
    const base = await guidOf(target, there.at(-1) ?? '');
    for (const name of await snapshots(source)) {
      if (Number(name.split('@s')[1]) < there.length) await source.zfs('destroy', name).catch(() => {});
    }
    const left = await Promise.all((await snapshots(source)).map((name) => guidOf(source, name)));
    expect([...left, ...(await cursors(source)).map((line) => line.split('\t')[1])]).toContain(base);
  }
  await fleet.start('sender', source);
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done' });
  expect((await snapshots(target)).at(-1)).toBe('zones/test@s11');
  await expectCursorOf(pair, await guidOf(source, 'zones/test@s11'));
  expect(await holds(source)).toEqual([]);
}, 180_000);

test.each(['a job to another target', 'doctor --fix'])(
  'I9: holds of a killed sender for its target outlive %s, and what that target has is there for the same request',
  async (what) => {
    const pair = await usePair('a', 'b');
    const { fleet, source, target } = pair;
    const other = await fleet.host('smos-02');
    await other.zpool('create', 'zones');
    await snapshot(source, 'zones/test@big', 60_000_000);
    const receiver = await fleet.start('receiver', target, { ZPSEND_ALLOW: '*=zones', ZFS_SIM_RECV_RATE: '8M' });
    await fleet.start('receiver', other, { ZPSEND_ALLOW: '*=zones' });
    const sender = await fleet.start('sender', source);
    const job = await fleet.begin('smos-01', body);
    const done = async () => (await fleet.status('smos-01', job))?.done ?? 0;
    await expect.poll(done, { timeout: 30_000 }).toBe(2);
    await Promise.all([sender.end('SIGKILL'), receiver.end('SIGKILL')]);
    expect(await cursors(source)).toEqual([]);

    await fleet.start('sender', source);
    if (what === 'doctor --fix') await doctor(source, '--fix');
    else expect(await fleet.send('smos-01', { ...body, to: { host: 'smos-02' } })).toMatchObject({ state: 'done' });
    // a pruner destroys all snapshots without a hold
    for (const name of await snapshots(source)) await source.zfs('destroy', name).catch(() => {});
    await snapshot(source, 'zones/test@c');
    await target.zfs('receive', '-A', 'zones/test').catch(() => {});
    await fleet.start('receiver', target, { ZPSEND_ALLOW: '*=zones' });
    expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done' });
    expect((await snapshots(target)).at(-1)).toBe('zones/test@c');
    expect(await holds(source)).toEqual([]);
    expect((await cursors(source)).filter((name) => !name.includes('#zpsend_smos-02_'))).toEqual([
      expect.stringContaining('#zpsend_smos-00_'),
    ]);
  },
  180_000,
);

test('a snapshot whose cursor could not be set keeps its hold until a later job has set it', async () => {
  const pair = await usePair('a');
  const { fleet, source } = pair;
  const sender = await startBoth(pair);
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done', done: 1 });
  await sender.end('SIGTERM');
  await snapshot(source, 'zones/test@b');
  const full = await fleet.start('sender', source, {
    ZFS_SIM_FAIL: "bookmark:cannot create bookmark 'zones/test#x': out of space",
  });
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done', done: 1 });
  await full.logged('hold.kept', { snapshot: 'zones/test@b' });
  expect(await holds(source)).toHaveLength(1);
  await full.end('SIGTERM');
  // a pruner comes by
  for (const name of await snapshots(source)) await source.zfs('destroy', name).catch(() => {});
  expect(await snapshots(source)).toEqual(['zones/test@b']);
  await snapshot(source, 'zones/test@c');
  await fleet.start('sender', source);
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done', done: 1 });
  expect(await holds(source)).toEqual([]);
  await expectCursorOf(pair, await guidOf(source, 'zones/test@c'));
});

test('the cursor of what a target went back to is not taken for an old one', async () => {
  const pair = await usePair('a', 'b');
  const { fleet, source, target } = pair;
  const receiver = await fleet.start('receiver', target, { ZPSEND_ALLOW: '*=zones' });
  await fleet.start('sender', source);
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done', done: 2 });
  await target.zfs('rollback', '-r', 'zones/test@a');
  await receiver.end('SIGTERM');
  const strict = await fleet.start('receiver', target, { ZPSEND_ALLOW: '*=zones/elsewhere' });
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'failed', error: { code: 'NOT_ALLOWED' } });
  await doctor(source, '--fix');
  for (const name of ['a', 'b']) await source.zfs('destroy', `zones/test@${name}`);
  await snapshot(source, 'zones/test@c');
  await strict.end('SIGTERM');
  await fleet.start('receiver', target, { ZPSEND_ALLOW: '*=zones' });
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done', done: 1 });
  await expectCursorOf(pair, await guidOf(source, 'zones/test@c'));
});
