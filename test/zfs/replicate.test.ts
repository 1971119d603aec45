import { afterAll, afterEach, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { openLocks } from '../../lib/bus/locks/locks.ts';
import { lab, MIB } from '../contract/zfs-under-test.ts';
import { type Fleet, useFleet } from '../support/fleet.ts';
import { mentions } from '../support/mentions.ts';
import { useNatsServer } from '../support/nats-server.ts';
import type { ServiceProcess } from '../support/service.ts';
import { fast, slow, startHere as startOn } from './services.ts';

const server = useNatsServer();
const zfs = lab(1024 * MIB);
const seven = ['now', 'now2', '8550', '18569', '20392', '30577', '4387'];

const source = () => `${zfs.source}/test`;
const target = () => `${zfs.target}/test`;
const body = () => ({ dataset: source(), to: { host: 'smos-00', dataset: target() } });
const startHere = (service: 'sender' | 'receiver', host: string) => startOn(zfs, server().url, service, host);

/** Started once: starting Node is what takes longest in an emulated machine. */
let receiver: ServiceProcess;
let sender: ServiceProcess;
beforeAll(async () => {
  [receiver, sender] = await Promise.all([startHere('receiver', 'smos-00'), startHere('sender', 'smos-01')]);
});
afterAll(async () => {
  await Promise.all([receiver.end(), sender.end()]);
});

const guids = (dataset: string): string[] =>
  zfs
    .ok('list', '-Hp', '-d', '1', '-t', 'snapshot', '-o', 'name,guid', '-s', 'createtxg', dataset)
    .map((line) => line.replace(/^[^@]*@/, ''));
const holds = (): string[] => {
  const snapshots = guids(source()).map((line) => `${source()}@${line.split('\t')[0]}`);
  return zfs.ok('holds', '-H', ...snapshots);
};
const expectEqual = (): void => {
  expect(guids(target())).toEqual(guids(source()));
  for (const line of guids(source())) {
    const name = line.split('\t')[0];
    expect(zfs.digest(`${target()}@${name}`), name).toBe(zfs.digest(`${source()}@${name}`));
  }
};
const expectNoTrace = async (fleet: Fleet): Promise<void> => {
  expect(holds()).toEqual([]);
  const locks = await openLocks(fleet.bus, 4);
  await expect.poll(() => locks.list(), { timeout: 30_000 }).toEqual([]);
};

beforeEach(() => {
  fast();
  zfs.ok('create', source());
});
afterEach(() => {
  for (const dataset of [source(), target()]) zfs.zfs('receive', '-A', dataset);
  for (const dataset of [source(), target()]) {
    const listed = zfs.zfs('list', '-Hp', '-d', '1', '-t', 'snapshot', '-o', 'name', dataset);
    for (const name of listed.stdout.split('\n').filter((line) => line !== '')) {
      for (const line of zfs.zfs('holds', '-H', name).stdout.split('\n')) {
        const tag = line.split('\t')[1];
        if (tag) zfs.zfs('release', tag, name);
      }
    }
    zfs.zfs('destroy', '-r', dataset);
  }
});

function snapshot(name: string, bytes: number): void {
  zfs.write(source(), bytes);
  zfs.ok('snapshot', `${source()}@${name}`);
}

async function midStream(fleet: Fleet, job: string, bytes: number): Promise<void> {
  await expect
    .poll(async () => (await fleet.status('smos-01', job))?.bytes ?? 0, { timeout: 120_000 })
    .toBeGreaterThan(bytes);
}

test('edge case 2: seven snapshots of a moment, whose names sort otherwise, arrive in the order they were made, with equal guids and contents; again does nothing; a later one is sent alone', async () => {
  for (const name of seven) snapshot(name, 100_000);
  const fleet = await useFleet(server().url);
  expect(await fleet.send('smos-01', body())).toMatchObject({ state: 'done', done: 7 });
  expectEqual();
  expect(await fleet.send('smos-01', body())).toMatchObject({ state: 'done', done: 0, bytes: 0 });
  snapshot('later', 100_000);
  expect(await fleet.send('smos-01', body())).toMatchObject({ state: 'done', done: 1 });
  expectEqual();
  await expectNoTrace(fleet);
  expect(zfs.value('readonly', target())).toBe('on');
});

test('edge case 20: I3: a snapshot destroyed at the source during a long run is skipped, and the run ends well', async () => {
  for (const name of ['a', 'b', 'c', 'd']) snapshot(name, 8 * MIB);
  const fleet = await useFleet(server().url);
  slow(3 * MIB);
  const job = await fleet.begin('smos-01', body());
  await midStream(fleet, job, MIB);
  zfs.ok('destroy', `${source()}@c`);
  // only what the running step needs has a hold
  expect(zfs.zfs('destroy', `${source()}@a`).stderr).toMatch(/busy|hold/);
  expect(await fleet.ended('smos-01', job)).toMatchObject({ state: 'done', done: 3 });
  expectEqual();
  await expectNoTrace(fleet);
});

test('edge case 4: I9: a sender killed in the middle of a long stream: the next run continues from the resume token, and its hold goes', async () => {
  const size = 48 * MIB;
  snapshot('big', size);
  const fleet = await useFleet(server().url);
  slow(8 * MIB);
  const job = await fleet.begin('smos-01', body());
  await midStream(fleet, job, 30 * MIB);
  const before = (await fleet.status('smos-01', job))?.bytes ?? 0;
  await sender.end('SIGKILL');
  expect(holds().length).toBe(1);
  // partial state is written when the receiver gives up
  await expect
    .poll(() => zfs.zfs('get', '-Hp', '-o', 'value', 'receive_resume_token', target()).stdout, { timeout: 60_000 })
    .toMatch(/^1-/);

  fast();
  sender = await startHere('sender', 'smos-01');
  const again = await fleet.send('smos-01', body());
  expect(again).toMatchObject({ state: 'done', done: 1 });
  const twice = before + again.bytes - size;
  console.log(`killed at ${before} bytes, ${again.bytes} sent by the next run, ${twice} more than the content`);
  expect(again.bytes).toBeLessThan(size - 16 * MIB);
  expectEqual();
  await expectNoTrace(fleet);
});

test('I1: exactly one of two senders into one dataset wins, and the other gets LOCKED', async () => {
  snapshot('a', 24 * MIB);
  const fleet = await useFleet(server().url);
  // so slow that the rival meets it, however long that takes to start
  slow(MIB / 16);
  const other = await startHere('sender', 'smos-02');
  onTestFinished(async () => void (await other.end()));
  const job = await fleet.begin('smos-01', body());
  await midStream(fleet, job, MIB);
  const rival = await fleet.send('smos-02', body());
  expect(rival).toMatchObject({ state: 'failed', error: { code: 'LOCKED', details: { source: 'smos-01' } } });
  fast();
  expect(await fleet.ended('smos-01', job)).toMatchObject({ state: 'done', done: 1 });
  expectEqual();
  await expectNoTrace(fleet);
});

test('edge case 4: a sender that stops in mid-stream leaves no hold and no lock, and the next run finishes', async () => {
  snapshot('a', 24 * MIB);
  const fleet = await useFleet(server().url);
  slow(4 * MIB);
  const job = await fleet.begin('smos-01', body());
  await midStream(fleet, job, MIB);
  expect(await sender.end('SIGTERM')).toBe(0);
  await expectNoTrace(fleet);
  fast();
  sender = await startHere('sender', 'smos-01');
  expect(await fleet.send('smos-01', body())).toMatchObject({ state: 'done', done: 1 });
  expectEqual();
});

test('a clone travels as a clone when its origin is on the target, and is refused with ORIGIN_MISSING when it is not', async () => {
  snapshot('base', 100_000);
  const clone = `${zfs.source}/clone`;
  zfs.ok('clone', `${source()}@base`, clone);
  zfs.write(clone, 50_000);
  zfs.ok('snapshot', `${clone}@own`);
  const request = { dataset: clone, to: { host: 'smos-00', dataset: `${zfs.target}/clone` } };
  const fleet = await useFleet(server().url);
  try {
    expect(await fleet.send('smos-01', request)).toMatchObject({ state: 'failed', error: { code: 'ORIGIN_MISSING' } });
    expect(await fleet.send('smos-01', body())).toMatchObject({ state: 'done', done: 1 });
    expect(await fleet.send('smos-01', request)).toMatchObject({ state: 'done', done: 1 });
    expect(zfs.value('origin', `${zfs.target}/clone`)).toBe(`${target()}@base`);
    expect(zfs.digest(`${zfs.target}/clone@own`)).toBe(zfs.digest(`${clone}@own`));
  } finally {
    zfs.zfs('destroy', '-r', `${zfs.target}/clone`);
    zfs.zfs('destroy', '-r', clone);
  }
});

test('I5: a target that has diverged is refused with the evidence, and nothing on it changes', async () => {
  snapshot('a', 100_000);
  snapshot('b', 100_000);
  const fleet = await useFleet(server().url);
  expect(await fleet.send('smos-01', body())).toMatchObject({ state: 'done', done: 2 });
  zfs.ok('snapshot', `${target()}@theirs`);
  snapshot('c', 100_000);
  const before = guids(target());
  expect(await fleet.send('smos-01', body())).toMatchObject({
    state: 'failed',
    error: { code: 'DIVERGED' },
    evidence: { newestCommon: 'b', sourceOnly: ['c'], targetOnly: ['theirs'] },
  });
  expect(guids(target())).toEqual(before);
});

test('edge case 32: what is destroyed while a step runs is skipped, and what arrived is done, with a note; what was named and vanished fails', async () => {
  const fleet = await useFleet(server().url);
  const vanish = async (more: object, ...destroys: string[][]) => {
    // a stream that fits into a pipe: zfs send has ended while it still travels, and else zfs destroys nothing of it
    for (const name of ['a', 'b', 'c']) snapshot(name, 20_000);
    slow(8000);
    const job = await fleet.begin('smos-01', { ...body(), ...more });
    await midStream(fleet, job, 16_000);
    // as soon as zfs send has ended
    for (const argv of destroys) await expect.poll(() => zfs.zfs('destroy', ...argv).exit).toBe(0);
    fast();
    return fleet.ended('smos-01', job);
  };
  const all = [['-d', `${source()}@a`], [`${source()}@b,c`]];
  const done = await vanish({}, ...all);
  expect(done).toMatchObject({
    state: 'done',
    done: 1,
    notes: [{ kind: 'vanished', dataset: source(), message: mentions('@b', '@c') }],
  });
  expect(guids(source())).toEqual([]);
  expect(guids(target())).toEqual([expect.stringMatching(/^a\t/)]);

  for (const dataset of [target(), source()]) zfs.ok('destroy', '-r', dataset);
  zfs.ok('create', source());
  expect(await vanish({ dataset: `${source()}@c` }, ...all)).toMatchObject({
    state: 'failed',
    done: 1,
    error: { code: 'NO_SUCH_SNAPSHOT', message: mentions('@b', '@c') },
  });

  for (const dataset of [target(), source()]) zfs.ok('destroy', '-r', dataset);
  for (const name of ['', '/kid', '/kid/deep']) zfs.ok('create', `${source()}${name}`);
  zfs.ok('snapshot', '-r', `${source()}@0`);
  const tree = await vanish({ package: 'replication', parallel: 1 }, ['-r', `${source()}/kid`]);
  expect(tree).toMatchObject({ state: 'done', datasets: { failed: 0 } });
  const vanished = (tree.notes ?? []).filter(({ kind }) => kind === 'vanished').map(({ dataset }) => dataset);
  expect(vanished).toEqual([`${source()}/kid`, `${source()}/kid/deep`]);
  expectEqual();
  await expectNoTrace(fleet);
}, 600_000);
