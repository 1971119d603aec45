import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { holdTag } from '../../services/sender/bases/holds.ts';
import { lab, MIB } from '../contract/zfs-under-test.ts';
import { useFleet } from '../support/fleet.ts';
import { mentions } from '../support/mentions.ts';
import { useNatsServer } from '../support/nats-server.ts';
import type { ServiceProcess } from '../support/service.ts';
import { fast, startHere } from './services.ts';

// the cases of docs/design/edge-cases.md that need no setting of their own; each has two datasets to itself
const server = useNatsServer();
const z = lab(512 * MIB);

let services: ServiceProcess[];
beforeAll(async () => {
  services = await Promise.all([
    startHere(z, server().url, 'receiver', 'smos-00'),
    startHere(z, server().url, 'sender', 'smos-01'),
  ]);
});
afterAll(async () => {
  await Promise.all(services.map((service) => service.end()));
});
beforeEach(fast);

let pairs = 0;
/** A dataset on the source, the place for it on the target, and how to send the one to the other. */
async function usePair(name = `d${pairs++}`) {
  const [source, target] = [`${z.source}/${name}`, `${z.target}/${name}`];
  z.ok('create', source);
  onTestFinished(() => {
    for (const dataset of [target, source]) {
      z.zfs('receive', '-A', dataset);
      z.zfs('destroy', '-R', dataset);
    }
  });
  const fleet = await useFleet(server().url);
  const body = { dataset: source, to: { host: 'smos-00', dataset: target } };
  return {
    source,
    target,
    fleet,
    body,
    send: (more = {}) => fleet.send('smos-01', { ...body, ...more }),
    /** New content and a snapshot of it. */
    snapshot(leaf: string, bytes = 50_000) {
      z.write(source, bytes);
      z.ok('snapshot', `${source}@${leaf}`);
    },
  };
}

/** Name and guid with a tab between, oldest first. */
const snapshotsOf = (dataset: string): string[] =>
  z
    .ok('list', '-Hp', '-d', '1', '-t', 'snapshot', '-o', 'name,guid', '-s', 'createtxg', dataset)
    .map((line) => line.slice(dataset.length + 1));
const token = (dataset: string): string => z.value('receive_resume_token', dataset);

function expectEqual(source: string, target: string): void {
  expect(snapshotsOf(target)).toEqual(snapshotsOf(source));
  for (const line of snapshotsOf(source)) {
    const [leaf] = line.split('\t');
    expect(z.digest(`${target}@${leaf}`), leaf).toBe(z.digest(`${source}@${leaf}`));
  }
}

test('edge case 1: a snapshot is known by its guid: another one of the same name stops the step, another name does not', async () => {
  const { source, target, send, snapshot } = await usePair();
  snapshot('a');
  z.ok('create', target);
  z.ok('snapshot', `${target}@a`);
  const theirs = snapshotsOf(target);
  expect(await send()).toMatchObject({ state: 'failed', done: 0 });
  expect(snapshotsOf(target)).toEqual(theirs);
  z.ok('destroy', '-r', target);

  expect(await send()).toMatchObject({ state: 'done', done: 1 });
  z.ok('rename', `${target}@a`, `${target}@other`);
  snapshot('b');
  expect(await send()).toMatchObject({ state: 'done', done: 1 });
  expect(z.digest(`${target}@b`)).toBe(z.digest(`${source}@b`));
});

test('edge case 3: what was destroyed at the source stays on the target', async () => {
  const { source, target, send, snapshot } = await usePair();
  for (const leaf of ['a', 'b', 'c']) snapshot(leaf);
  expect(await send()).toMatchObject({ state: 'done', done: 3 });
  const before = snapshotsOf(target);
  for (const leaf of ['a', 'b']) z.ok('destroy', `${source}@${leaf}`);
  snapshot('d');
  expect(await send({ package: 'replication' })).toMatchObject({ state: 'done', done: 1 });
  expect(snapshotsOf(target)).toEqual([...before, snapshotsOf(source)[1]]);
});

test('edge cases 5, 6: partial state whose snapshot is gone is dropped, of a new dataset and of one with snapshots', async () => {
  const { source, target, send, snapshot } = await usePair();
  snapshot('a', MIB);
  z.feed(z.stream(`${source}@a`).subarray(0, 600_000), 'receive', '-s', '-u', target);
  expect(token(target)).toMatch(/^1-/);
  z.ok('destroy', `${source}@a`);
  snapshot('b');
  expect(await send()).toMatchObject({ state: 'done', done: 1 });

  snapshot('c', MIB);
  z.feed(z.stream('-i', '@b', `${source}@c`).subarray(0, 600_000), 'receive', '-s', '-u', target);
  expect(token(target)).toMatch(/^1-/);
  z.ok('destroy', `${source}@c`);
  snapshot('d');
  expect(await send()).toMatchObject({ state: 'done', done: 1 });
  expect(token(target)).toBe('-');
  expectEqual(source, target);
});

test('edge cases 7, 22: another receive that still dies is waited for, and its partial state continued; the reported size is the step’s own', async () => {
  const { source, target, fleet, body, send, snapshot } = await usePair();
  snapshot('a');
  expect(await send()).toMatchObject({ state: 'done', done: 1 });
  const size = 6 * MIB;
  snapshot('b', size);
  const dying = z.receiveSlowly(
    z.stream('-i', '@a', `${source}@b`).subarray(0, 4 * MIB),
    ...['receive', '-s', '-u', target],
  );
  await expect.poll(() => z.zfs('receive', '-A', target).stderr).toMatch(/busy/);
  const job = await fleet.begin('smos-01', body);
  await expect.poll(async () => (await fleet.status('smos-01', job))?.waiting?.code).toBe('BUSY');
  await dying.end();
  const ended = await fleet.ended('smos-01', job);
  expect(ended).toMatchObject({ state: 'done', done: 1 });
  expect(ended.size).toBeLessThan(3 * size);
  expectEqual(source, target);
});

test('edge case 12: a target that is mounted and read takes increments; one that was written to is refused and left alone', async () => {
  const { source, target, send, snapshot } = await usePair();
  snapshot('a');
  expect(await send()).toMatchObject({ state: 'done', done: 1 });
  expect(z.value('mounted', target)).toBe('no');
  z.ok('mount', target);
  const folder = z.value('mountpoint', target);
  for (const file of readdirSync(folder)) readFileSync(join(folder, file));
  snapshot('b');
  expect(await send()).toMatchObject({ state: 'done', done: 1 });
  expectEqual(source, target);

  z.ok('set', 'readonly=off', target);
  writeFileSync(join(folder, 'theirs'), 'kept');
  z.zpool('sync', z.target);
  snapshot('c');
  const refused = await send();
  expect(refused).toMatchObject({ state: 'failed', done: 0 });
  expect(refused.error?.code).toMatch(/^(?:MODIFIED|DIVERGED)$/);
  expect(readFileSync(join(folder, 'theirs'), 'utf8')).toBe('kept');
});

test('edge case 14: after a promote the package continues; a dataset that was renamed is reported, and nothing is sent or made', async () => {
  const { source, target, send } = await usePair();
  const all = { package: 'replication' };
  z.ok('create', `${source}/a`);
  z.write(`${source}/a`, 50_000);
  z.ok('snapshot', `${source}/a@1`);
  z.ok('clone', `${source}/a@1`, `${source}/c`);
  z.write(`${source}/c`, 50_000);
  z.ok('snapshot', '-r', `${source}@2`);
  expect(await send(all)).toMatchObject({ state: 'done', datasets: { failed: 0 } });
  z.ok('promote', `${source}/c`);
  z.ok('snapshot', '-r', `${source}@3`);
  expect(await send(all)).toMatchObject({ state: 'done', datasets: { failed: 0 } });
  for (const child of ['a', 'c']) {
    expect(z.digest(`${target}/${child}@3`), child).toBe(z.digest(`${source}/${child}@3`));
  }

  z.ok('rename', `${source}/a`, `${source}/b`);
  const before = z.ok('list', '-Hp', '-r', '-t', 'all', '-o', 'name,guid', target);
  const refused = await send(all);
  expect(refused).toMatchObject({ state: 'failed', error: { code: 'EXISTS' } });
  expect(refused.error?.message).toEqual(mentions(`${target}/a`));
  expect(z.ok('list', '-Hp', '-r', '-t', 'all', '-o', 'name,guid', target)).toEqual(before);
});

test('edge case 17: a dataset and snapshots with spaces, colons, dots and dashes in their names arrive under them', async () => {
  const { source, target, send, snapshot } = await usePair('it is: -a_b.c');
  for (const leaf of ['12:00 -x', '.hidden', 'a b']) snapshot(leaf);
  expect(await send()).toMatchObject({ state: 'done', done: 3 });
  expectEqual(source, target);
});

test('edge case 21: a snapshot that arrived before its sender died is not sent again, and the hold it left goes', async () => {
  const { source, target, send, snapshot } = await usePair();
  snapshot('a');
  expect(await send()).toMatchObject({ state: 'done', done: 1 });
  snapshot('b');
  const tag = holdTag('diedbefore', 0, { host: 'smos-00', dataset: target });
  z.ok('hold', tag, `${source}@a`, `${source}@b`);
  z.feed(z.stream('-i', '@a', `${source}@b`), 'receive', '-s', '-u', target);
  expect(await send()).toMatchObject({ state: 'done', done: 0, bytes: 0 });
  expect(z.ok('holds', '-H', `${source}@a`, `${source}@b`)).toEqual([]);
  expectEqual(source, target);
});
