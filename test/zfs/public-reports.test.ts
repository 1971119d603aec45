import { symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { SendRequest } from '../../schemas/request.ts';
import { lab, MIB } from '../contract/zfs-under-test.ts';
import { useFleet } from '../support/fleet.ts';
import { useNatsServer } from '../support/nats-server.ts';
import type { ServiceProcess } from '../support/service.ts';
import { configured, fast, slow, startHere } from './services.ts';

// what users of other tools reported, done as they did; each report has its own datasets
const server = useNatsServer();
const z = lab(512 * MIB);
/** A pool without any feature. */
let old = '';
let services: ServiceProcess[] = [];

beforeAll(async () => {
  old = z.pool('old', 128 * MIB, '-d');
  const rules = [z.target, old].map((into) => `{ from: "*", into: ${into}, conflicts: [rollback], properties: ["*"] }`);
  const config = configured(`receive:\n  allow: [${rules.join(', ')}]\n`);
  services = await Promise.all([
    startHere(z, server().url, 'receiver', 'smos-00', config),
    startHere(z, server().url, 'sender', 'smos-01'),
  ]);
});
afterAll(async () => {
  await Promise.all(services.map((service) => service.end()));
});
beforeEach(fast);

const send = async (dataset: string, into: string, more: Partial<SendRequest> = {}) => {
  const fleet = await useFleet(server().url);
  return fleet.send('smos-01', { dataset, to: { host: 'smos-00', dataset: into }, ...more });
};

/** A dataset of the source, and its place on the target. */
function usePair(name: string, ...options: string[]) {
  const source = `${z.source}/${name}`;
  z.ok('create', ...options, source);
  return {
    source,
    target: `${z.target}/${name}`,
    snapshot(leaf: string, bytes = 50_000) {
      z.write(source, bytes);
      z.ok('snapshot', `${source}@${leaf}`);
    },
  };
}

const guids = (dataset: string): string[] =>
  z.ok('list', '-Hp', '-d', '1', '-t', 'snapshot', '-o', 'guid', '-s', 'createtxg', dataset);
const leaves = (dataset: string): string[] =>
  z
    .ok('list', '-Hp', '-d', '1', '-t', 'snapshot', '-o', 'name', '-s', 'createtxg', dataset)
    .map((name) => name.slice(dataset.length));

function expectEqual(source: string, target: string): void {
  expect(guids(target)).toEqual(guids(source));
  for (const leaf of leaves(source)) expect(z.digest(`${target}${leaf}`), leaf).toBe(z.digest(`${source}${leaf}`));
}

test('edge case 40: a pool that cannot resume receives, and sends, all the same', async () => {
  const { source, snapshot } = usePair('plain');
  snapshot('1');
  expect(await send(source, `${old}/plain`)).toMatchObject({ state: 'done', done: 1 });
  snapshot('2');
  expect(await send(source, `${old}/plain`)).toMatchObject({ state: 'done', done: 1 });
  expectEqual(source, `${old}/plain`);
  expect(await send(`${old}/plain`, `${z.target}/back`)).toMatchObject({ state: 'done', done: 2 });
  expectEqual(source, `${z.target}/back`);
});

test('edge case 41: files whose dnodes change in size, go and come again arrive whole, step by step', async () => {
  const { source, target } = usePair('dnodes', '-o', 'dnodesize=auto', '-o', 'xattr=sa');
  const folder = z.value('mountpoint', source);
  const make = (from: number, to: number, bytes: number) => {
    for (let n = from; n < to; n++) writeFileSync(join(folder, `f${n}`), Buffer.alloc(bytes, n));
  };
  const remove = (from: number, to: number, by: number) => {
    for (let n = from; n < to; n += by) unlinkSync(join(folder, `f${n}`));
  };
  make(0, 200, 700);
  z.ok('snapshot', `${source}@1`);
  remove(0, 200, 2);
  z.ok('set', 'dnodesize=legacy', source);
  make(200, 400, 300);
  z.ok('snapshot', `${source}@2`);
  remove(201, 400, 3);
  z.ok('set', 'dnodesize=1k', source);
  make(400, 600, 900);
  for (let n = 0; n < 20; n++) symlinkSync('x'.repeat(200), join(folder, `l${n}`));
  z.ok('snapshot', `${source}@3`);
  expect(await send(source, target)).toMatchObject({ state: 'done', done: 3 });
  expectEqual(source, target);
});

test('edge case 42: a bookmark is the base where its snapshot is gone, and nothing older than it is sent', async () => {
  const { source, target, snapshot } = usePair('bookmarked');
  for (const leaf of ['1', '2', '3', '4']) snapshot(leaf);
  z.feed(z.stream(`${source}@1`), 'receive', '-u', target);
  z.feed(z.stream('-i', '@1', `${source}@3`), 'receive', '-u', target);
  z.ok('bookmark', `${source}@3`, `${source}#mine`);
  z.ok('destroy', `${source}@3`);
  expect(await send(source, target)).toMatchObject({ state: 'done', done: 1 });
  expect(leaves(target)).toEqual(['@1', '@3', '@4']);
  expect(z.digest(`${target}@4`)).toBe(z.digest(`${source}@4`));
});

test('edge case 43: a source that moved to another pool, and a target that was renamed, continue', async () => {
  const { source, snapshot } = usePair('moved');
  const first = z.pool('first', 96 * MIB);
  const into = `${z.target}/moved`;
  snapshot('1');
  expect(await send(source, into)).toMatchObject({ state: 'done', done: 1 });
  snapshot('2');
  z.feed(z.stream('-R', `${source}@2`), 'receive', '-u', `${first}/new`);
  z.ok('destroy', '-r', source);
  z.ok('snapshot', `${first}/new@3`);
  expect(await send(`${first}/new`, into)).toMatchObject({ state: 'done', done: 2 });
  z.ok('rename', into, `${z.target}/renamed`);
  z.ok('snapshot', `${first}/new@4`);
  expect(await send(`${first}/new`, `${z.target}/renamed`)).toMatchObject({ state: 'done', done: 1 });
  expectEqual(`${first}/new`, `${z.target}/renamed`);
});

test('edge case 44: a refquota stops no receive, of the target nor one that a snapshot exceeds', async () => {
  const { source, target, snapshot } = usePair('refquota', '-o', 'compression=off');
  snapshot('1', 2 * MIB);
  expect(await send(source, target)).toMatchObject({ state: 'done', done: 1 });
  z.ok('set', 'refquota=3M', target);
  const file = join(z.value('mountpoint', source), 'more');
  writeFileSync(file, Buffer.alloc(3 * MIB, 7));
  z.zpool('sync', z.source);
  z.ok('snapshot', `${source}@big`);
  expect(await send(source, target)).toMatchObject({ state: 'done', done: 1 });
  unlinkSync(file);
  z.zpool('sync', z.source);
  z.ok('set', 'refquota=4M', source);
  z.ok('snapshot', `${source}@small`);
  expect(await send(source, target)).toMatchObject({ state: 'done', done: 1 });
  expectEqual(source, target);
  const withProperties = `${z.target}/withprops`;
  expect(await send(source, withProperties, { stream: { props: true } })).toMatchObject({ state: 'done', done: 3 });
  expect(z.value('refquota', withProperties)).toBe(String(4 * MIB));
  expectEqual(source, withProperties);
});

test('edge case 45: values of the target go before those of the stream, and long ones arrive to the letter', async () => {
  const long = `ro quote' "x" $HOME $(id) \\ ; & | < > * ? ${'y'.repeat(900)}`;
  const options = [`org.example:cmdline=${long}`, 'canmount=noauto', 'compression=zstd-7', 'recordsize=32K'];
  const { source, target, snapshot } = usePair('props', ...options.flatMap((option) => ['-o', option]));
  z.ok('snapshot', '-o', 'org.example:why=before the upgrade; really', `${source}@1`);
  snapshot('2');
  const wishes = { stream: { props: true }, properties: { set: { compression: 'lz4', canmount: 'off' } } };
  expect(await send(source, target, wishes)).toMatchObject({ state: 'done', done: 2 });
  expect(['org.example:cmdline', 'compression', 'canmount', 'recordsize'].map((name) => z.value(name, target))).toEqual(
    [long, 'lz4', 'off', '32768'],
  );
  expect(z.value('org.example:why', `${target}@1`)).toBe('before the upgrade; really');
});

test('edge case 46: a snapshot that another tool takes of the target during a receive costs nothing', async () => {
  const { source, target, snapshot } = usePair('auto');
  snapshot('1');
  expect(await send(source, target)).toMatchObject({ state: 'done', done: 1 });
  snapshot('2', 4 * MIB);
  snapshot('3');
  slow(MIB);
  const fleet = await useFleet(server().url);
  const job = await fleet.begin('smos-01', { dataset: source, to: { host: 'smos-00', dataset: target } });
  await expect.poll(async () => (await fleet.status('smos-01', job))?.bytes ?? 0).toBeGreaterThan(MIB);
  z.ok('snapshot', `${target}@auto-hourly`);
  fast();
  const ended = await fleet.ended('smos-01', job);
  // some releases refuse the stream at its end: then the error has its cause, and nothing is lost
  if (ended.state === 'failed') expect(ended.error?.code).toBe('DIVERGED');
  expect(await send(source, target, { conflict: 'rollback' })).toMatchObject({ state: 'done' });
  const arrived = leaves(target).filter((leaf) => leaf !== '@auto-hourly');
  expect(arrived).toEqual(['@1', '@2', '@3']);
  for (const leaf of arrived) expect(z.digest(`${target}${leaf}`), leaf).toBe(z.digest(`${source}${leaf}`));
});

test('edge case 47: a receive that ended before its first byte of data leaves no obstacle', async () => {
  const { source, target, snapshot } = usePair('nothing');
  const firstRecord = 312;
  snapshot('1', MIB);
  z.feed(z.stream(`${source}@1`).subarray(0, firstRecord), 'receive', '-s', '-u', target);
  expect(await send(source, target)).toMatchObject({ state: 'done', done: 1 });
  snapshot('2', MIB);
  z.feed(z.stream('-i', '@1', `${source}@2`).subarray(0, firstRecord), 'receive', '-s', '-u', target);
  expect(await send(source, target)).toMatchObject({ state: 'done', done: 1 });
  expectEqual(source, target);
});

test('edge case 48: a source that is itself partly received is left out and reported, and follows when it is complete', async () => {
  const { source: origin } = usePair('origin');
  const middle = `${z.source}/middle`;
  z.ok('create', `${origin}/part`);
  z.write(`${origin}/part`, 2 * MIB);
  z.ok('snapshot', '-r', `${origin}@1`);
  const part = z.stream(`${origin}/part@1`);
  z.feed(z.stream(`${origin}@1`), 'receive', '-u', middle);
  z.feed(part.subarray(0, MIB), 'receive', '-s', '-u', `${middle}/part`);
  const all = { package: 'replication' } as const;
  const job = await send(middle, `${z.target}/middle`, all);
  expect(job).toMatchObject({ state: 'done', done: 1 });
  expect(job.notes).toMatchObject([{ kind: 'skipped', dataset: `${middle}/part` }]);
  expect(await send(`${middle}/part`, `${z.target}/alone`)).toMatchObject({
    state: 'failed',
    error: { code: 'NO_SUCH_SNAPSHOT', details: { partial: true } },
  });
  z.ok('receive', '-A', `${middle}/part`);
  z.feed(part, 'receive', '-u', `${middle}/part`);
  expect(await send(middle, `${z.target}/middle`, all)).toMatchObject({ state: 'done', done: 1 });
  expectEqual(`${origin}/part`, `${z.target}/middle/part`);
});

test('edge case 49: a dataset that was renamed keeps none of the others from being replicated', async () => {
  const { source, target } = usePair('tree');
  for (const kid of ['a', 'm', 'z']) z.ok('create', '-s', '-V', '1M', `${source}/${kid}`);
  const all = { package: 'replication' } as const;
  z.ok('snapshot', '-r', `${source}@1`);
  expect(await send(source, target, all)).toMatchObject({ state: 'done', done: 4 });
  z.ok('rename', `${source}/m`, `${source}/b`);
  z.ok('snapshot', '-r', `${source}@2`);
  expect(await send(source, target, all)).toMatchObject({ state: 'failed', done: 3, error: { code: 'EXISTS' } });
  for (const name of [target, `${target}/a`, `${target}/z`]) expect(leaves(name)).toEqual(['@1', '@2']);
  expect(leaves(`${target}/m`)).toEqual(['@1']);
});
