import { spawn } from 'node:child_process';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { openLocks } from '../../lib/bus/locks/locks.ts';
import { lab, MIB } from '../contract/zfs-under-test.ts';
import { type Fleet, useFleet } from '../support/fleet.ts';
import { mentions } from '../support/mentions.ts';
import { useNatsServer } from '../support/nats-server.ts';
import type { ServiceProcess } from '../support/service.ts';
import { configured, startHere } from './services.ts';

const server = useNatsServer();
const z = lab(512 * MIB);
const rule = () => `{ from: "*", into: ${z.target}, conflicts: [rollback, rotate] }`;

let services: ServiceProcess[] = [];
beforeAll(async () => {
  services = await Promise.all([
    startHere(z, server().url, 'receiver', 'smos-00', configured(`receive: { allow: [${rule()}] }`)),
    startHere(z, server().url, 'sender', 'smos-01'),
  ]);
});
afterAll(async () => {
  await Promise.all(services.map((service) => service.end()));
});

const there = (dataset: string): string[] =>
  z
    .ok('list', '-Hp', '-r', '-t', 'all', '-o', 'name', '-s', 'createtxg', dataset)
    .map((name) => name.replace(`${z.target}/`, ''));

function change(dataset: string, snapshot: string): void {
  z.write(dataset, 100_000);
  z.ok('snapshot', `${dataset}@${snapshot}`);
}

/** @a and @b are on both sides, @c only at the source. */
async function pair(fleet: Fleet, name: string) {
  const [s, t] = [`${z.source}/${name}`, `${z.target}/${name}`];
  z.ok('create', s);
  for (const snapshot of ['a', 'b']) change(s, snapshot);
  const ask = (conflict?: string) => ({
    dataset: s,
    to: { host: 'smos-00', dataset: t },
    ...(conflict && { conflict }),
  });
  expect(await fleet.send('smos-01', ask())).toMatchObject({ state: 'done', done: 2 });
  // a replica is readonly, and an administrator has changed that
  z.ok('set', 'readonly=off', t);
  change(s, 'c');
  return { s, t, ask };
}

const expectUnlocked = async (fleet: Fleet): Promise<void> => {
  const locks = await openLocks(fleet.bus, 15);
  await expect.poll(() => locks.list(), { timeout: 60_000 }).toEqual([]);
};

test('rollback: holds and clones keep everything; then what is listed goes, and what was written', async () => {
  const fleet = await useFleet(server().url);
  const { s, t, ask } = await pair(fleet, 'back');
  for (const name of ['x', 'y']) change(t, name);
  z.write(t, 50_000);
  const diverged = there(t);
  expect(await fleet.send('smos-01', ask())).toMatchObject({
    state: 'failed',
    error: { code: 'DIVERGED' },
    evidence: { newestCommon: 'b', targetOnly: ['x', 'y'], modified: expect.any(Number) },
  });
  z.ok('hold', 'keep', `${t}@y`);
  expect(await fleet.send('smos-01', ask('rollback'))).toMatchObject({
    state: 'failed',
    error: { code: 'DIVERGED', details: { tag: 'keep' } },
  });
  z.ok('release', 'keep', `${t}@y`);
  z.ok('clone', `${t}@x`, `${t}-clone`);
  expect(await fleet.send('smos-01', ask('rollback'))).toMatchObject({
    state: 'failed',
    error: { code: 'DIVERGED', message: mentions(`${t}-clone`, `${t}@x`) },
  });
  expect(there(t)).toEqual(diverged);
  z.ok('destroy', `${t}-clone`);
  expect(await fleet.send('smos-01', ask('rollback'))).toMatchObject({ state: 'done', done: 1 });
  expect(there(t)).toEqual(['back', 'back@a', 'back@b', 'back@c']);
  expect(z.digest(`${t}@c`)).toBe(z.digest(`${s}@c`));

  // only written to, and mounted
  z.ok('set', 'readonly=off', t);
  z.write(t, 50_000);
  change(s, 'd');
  expect(await fleet.send('smos-01', ask('rollback'))).toMatchObject({ state: 'done', done: 1 });
  expect(z.digest(`${t}@d`)).toBe(z.digest(`${s}@d`));
  await expectUnlocked(fleet);
});

test('rotate: a diverged dataset is renamed and continues as a clone, or whole without a common snapshot; nothing is lost', async () => {
  const fleet = await useFleet(server().url);
  const { s, t, ask } = await pair(fleet, 'turn');
  change(t, 'x');
  z.write(t, 50_000);
  const before = z.digest(`${t}@x`);
  expect(await fleet.send('smos-01', ask('rotate'))).toMatchObject({ state: 'done', done: 1 });
  const rotated = `${t}_diverged_${z.value('createtxg', z.value('origin', t))}`;
  expect(z.value('origin', t)).toBe(`${rotated}@b`);
  expect(there(rotated).map((name) => name.split('@')[1])).toEqual([undefined, 'a', 'b', 'x']);
  expect(z.digest(`${rotated}@x`)).toBe(before);
  expect(Number(z.value('written', rotated))).toBeGreaterThan(0);
  expect(z.digest(`${t}@c`)).toBe(z.digest(`${s}@c`));
  change(s, 'd');
  expect(await fleet.send('smos-01', ask())).toMatchObject({ state: 'done', done: 1 });
  expect(z.digest(`${t}@d`)).toBe(z.digest(`${s}@d`));

  // nothing in common: a dataset of the same name from elsewhere
  const other = `${z.target}/other`;
  z.ok('create', other);
  change(other, 'theirs');
  const txg = z.value('createtxg', other);
  const to = { host: 'smos-00', dataset: other };
  expect(await fleet.send('smos-01', { dataset: s, to, conflict: 'rotate' })).toMatchObject({ state: 'done', done: 4 });
  expect(there(`${other}_diverged_${txg}`).at(-1)).toBe(`other_diverged_${txg}@theirs`);
  expect(z.value('origin', other)).toBe('-');
  expect(z.digest(`${other}@d`)).toBe(z.digest(`${s}@d`));
  await expectUnlocked(fleet);
});

test('a dataset that was renamed at the source is followed, with what lies below it', async () => {
  const fleet = await useFleet(server().url);
  const [s, t] = [`${z.source}/tree`, `${z.target}/tree`];
  for (const name of [s, `${s}/old`, `${s}/old/kid`]) z.ok('create', name);
  z.ok('snapshot', '-r', `${s}@1`);
  const ask = { dataset: s, to: { host: 'smos-00', dataset: t }, package: 'replication' };
  expect(await fleet.send('smos-01', ask)).toMatchObject({ state: 'done', done: 3 });
  const guid = z.value('guid', `${t}/old`);
  z.ok('rename', `${s}/old`, `${s}/new`);
  z.ok('create', `${s}/old`);
  z.ok('snapshot', '-r', `${s}@2`);
  expect(await fleet.send('smos-01', { ...ask, conflict: 'rotate', parallel: 4 })).toMatchObject({
    state: 'done',
    done: 4,
  });
  expect(z.value('guid', `${t}/new`)).toBe(guid);
  expect(there(t).sort()).toEqual(
    ['tree', 'tree/new', 'tree/new/kid']
      .flatMap((name) => [name, `${name}@1`, `${name}@2`])
      .concat('tree/old', 'tree/old@2')
      .sort(),
  );
  await expectUnlocked(fleet);
});

test('edge case 34: a target with a process in it is waited for, with its mount point and the process; then it is rotated', async () => {
  const fleet = await useFleet(server().url);
  const { s, t, ask } = await pair(fleet, 'stood');
  change(t, 'x');
  const mountPoint = z.value('mountpoint', t);
  const standing = spawn('sleep', ['600'], { cwd: mountPoint, stdio: 'ignore' });
  onTestFinished(() => void standing.kill());
  const job = await fleet.begin('smos-01', ask('rotate'));
  const waiting = async () => (await fleet.status('smos-01', job))?.waiting;
  await expect.poll(waiting, { timeout: 60_000 }).toMatchObject({
    code: 'BUSY',
    message: expect.stringContaining(`cannot unmount '${mountPoint}'`),
    until: expect.any(String),
  });
  expect(await waiting()).toMatchObject({ message: mentions(`sleep (${standing.pid})`) });
  standing.kill();
  expect(await fleet.ended('smos-01', job)).toMatchObject({ state: 'done', done: 1 });
  expect(z.digest(`${t}@c`)).toBe(z.digest(`${s}@c`));
  await expectUnlocked(fleet);
});
