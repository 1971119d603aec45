import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { SendRequest } from '../../schemas/request.ts';
import { lab, MIB } from '../contract/zfs-under-test.ts';
import { type Fleet, useFleet } from '../support/fleet.ts';
import { mentions } from '../support/mentions.ts';
import { useNatsServer } from '../support/nats-server.ts';
import type { ServiceProcess } from '../support/service.ts';
import { fast, slow, startHere } from './services.ts';

const server = useNatsServer();
const z = lab(512 * MIB);
const folder = mkdtempSync(join(tmpdir(), 'zpsend-roots-'));
const keyOf = (name: string) => `file://${folder}/${name}`;
const encrypted = (name: string) => [
  ...['-o', 'encryption=on', '-o', 'keyformat=passphrase'],
  ...['-o', `keylocation=${keyOf(name)}`],
];

let services: ServiceProcess[] = [];
const start = (service: 'sender' | 'receiver', host: string) =>
  startHere(z, server().url, service, host, { ZPSEND_ALLOW: `*=${z.target},*=${z.source}` });
beforeAll(async () => {
  for (const name of ['key', 'other']) writeFileSync(join(folder, name), `${name} of eight letters or more\n`);
  // the bus sees one host with two names
  services = await Promise.all([start('receiver', 'smos-00'), start('sender', 'smos-01')]);
});
afterAll(async () => {
  await Promise.all(services.map((service) => service.end()));
  rmSync(folder, { recursive: true });
});
beforeEach(fast);

/** An encrypted tree at the source, with a word in each dataset, and a snapshot `@1`. */
function plantTree(name: string, ...kids: string[]): string {
  const root = `${z.source}/${name}`;
  z.ok('create', ...encrypted('key'), root);
  for (const kid of kids) z.ok('create', `${root}/${kid}`);
  for (const each of [root, ...kids.map((kid) => `${root}/${kid}`)]) put(each, 'first');
  z.ok('snapshot', '-r', `${root}@1`);
  return root;
}
const put = (dataset: string, word: string) => writeFileSync(join(z.value('mountpoint', dataset), 'word'), word);
const send = (fleet: Fleet, from: string, into: string, more: Partial<SendRequest> = {}) =>
  fleet.send('smos-01', { dataset: from, to: { host: 'smos-00', dataset: into }, ...more });
const all = { package: 'replication' } as const;
const refusedFor = (dataset: string) => ({
  state: 'failed',
  error: { code: 'KEY_MISMATCH', message: mentions(dataset) },
});

/** What stands in the word of each dataset, once all keys are unloaded and the root's is loaded again; "denied" where it cannot be opened. */
function words(root: string, key: string, ...names: string[]): string[] {
  for (const name of ['', ...names].toReversed()) z.zfs('unmount', `${root}${name}`);
  z.zfs('unload-key', '-r', root);
  expect(z.ok('list', '-H', '-o', 'keystatus', root)).toEqual(['unavailable']);
  z.ok('load-key', '-L', keyOf(key), root);
  const found = names.map((name) => {
    const { stderr } = z.zfs('mount', `${root}${name}`);
    if (/Permission denied/.test(stderr)) return 'denied';
    expect(stderr).toBe('');
    return readFileSync(join(z.value('mountpoint', `${root}${name}`), 'word'), 'utf8');
  });
  for (const name of names.toReversed()) z.zfs('unmount', `${root}${name}`);
  return found;
}

/** Runs the commands in the notes of a job, with keys from a file. */
function joinAsNoted(notes: readonly { kind: string; message: string }[] | undefined): void {
  for (const { message } of notes?.filter(({ kind }) => kind === 'encryption-root') ?? []) {
    for (const [, verb = '', name = ''] of message.matchAll(/zfs (load-key|change-key -i) ([^;.]+)/g)) {
      // the root's may be loaded by now
      if (verb === 'load-key') z.zfs('load-key', '-L', keyOf('key'), name);
      else z.ok('change-key', '-i', name);
    }
  }
}

test('edge case 26: below a root that was made on the target a joined child is refused, and continues once it has its own key', async () => {
  const fleet = await useFleet(server().url);
  const from = plantTree('local', 'kid');
  const root = `${z.target}/local`;
  z.ok('create', ...encrypted('other'), root);
  expect(await send(fleet, `${from}/kid`, `${root}/kid`)).toMatchObject({ state: 'done', done: 1 });
  z.ok('load-key', '-L', keyOf('key'), `${root}/kid`);
  z.ok('change-key', '-i', `${root}/kid`);
  put(`${from}/kid`, 'second');
  z.ok('snapshot', `${from}/kid@2`);
  expect(await send(fleet, `${from}/kid`, `${root}/kid`)).toMatchObject(refusedFor(`${root}/kid`));
  expect(words(root, 'other', '/kid')).toEqual(['first']);
  z.ok('change-key', '-o', 'keyformat=passphrase', '-o', `keylocation=${keyOf('other')}`, `${root}/kid`);
  expect(await send(fleet, `${from}/kid`, `${root}/kid`)).toMatchObject({ state: 'done', done: 1 });
  expect(words(`${root}/kid`, 'key', '')).toEqual(['second']);
});

test('edge case 26: a tree joined by the commands in its notes continues after a change-key only together, also when it is interrupted half-way', async () => {
  const fleet = await useFleet(server().url);
  const from = plantTree('tree', 'a', 'b');
  const to = `${z.target}/tree`;
  const names = ['', '/a', '/b'];
  const first = await send(fleet, from, to, all);
  expect(first).toMatchObject({ state: 'done', done: 3 });
  joinAsNoted(first.notes);
  expect(z.ok('list', '-H', '-r', '-o', 'encryptionroot', to)).toEqual([to, to, to]);
  expect(words(to, 'key', ...names)).toEqual(['first', 'first', 'first']);
  put(`${from}/a`, 'second');
  z.ok('snapshot', `${from}/a@2`);
  expect(await send(fleet, `${from}/a`, `${to}/a`)).toMatchObject({ state: 'done', done: 1 });
  expect(words(to, 'key', ...names)).toEqual(['first', 'second', 'first']);

  z.ok('change-key', '-o', `keylocation=${keyOf('other')}`, from);
  put(`${from}/a`, 'third');
  z.ok('snapshot', `${from}/a@3`);
  expect(await send(fleet, `${from}/a`, `${to}/a`)).toMatchObject(refusedFor(`${to}/a`));
  expect(await send(fleet, from, to, all)).toMatchObject(refusedFor(`${to}/a`));
  z.ok('snapshot', `${from}@4`);
  expect(await send(fleet, from, to)).toMatchObject(refusedFor(`${to}/b`));
  expect(words(to, 'key', ...names)).toEqual(['first', 'second', 'first']);

  for (const name of names) put(`${from}${name}`, 'last');
  z.write(`${from}/b`, 4 * MIB);
  z.ok('snapshot', '-r', `${from}@5`);
  slow(MIB);
  const job = await fleet.begin('smos-01', {
    dataset: from,
    to: { host: 'smos-00', dataset: to },
    ...all,
    parallel: 1,
  });
  const arrived = () => z.zfs('list', `${to}/a@5`).exit === 0;
  await expect
    .poll(async () => arrived() && ((await fleet.status('smos-01', job))?.current?.targetDataset ?? ''))
    .toBe(`${to}/b`);
  await services[1]?.end('SIGKILL');
  // the receive ends when it has got nothing for a while
  await expect.poll(() => z.zfs('unload-key', '-r', to).exit).toBe(0);
  expect(words(to, 'other', ...names)).toEqual(['last', 'last', 'denied']);
  services[1] = await start('sender', 'smos-01');
  fast();
  expect(await send(fleet, from, to, all)).toMatchObject({ state: 'done' });
  expect(words(to, 'other', ...names)).toEqual(['last', 'last', 'last']);
});

test('edge case 26: a child that moved under another root at the source is refused where it is joined, and continues with its own key', async () => {
  const fleet = await useFleet(server().url);
  const from = plantTree('moved', 'kid');
  const to = `${z.target}/moved`;
  joinAsNoted((await send(fleet, from, to, all)).notes);
  const other = `${z.source}/other`;
  z.ok('create', ...encrypted('other'), other);
  z.ok('change-key', '-o', 'keyformat=passphrase', '-o', `keylocation=${keyOf('key')}`, `${from}/kid`);
  z.ok('rename', `${from}/kid`, `${other}/kid`);
  z.ok('change-key', '-i', `${other}/kid`);
  put(`${other}/kid`, 'second');
  z.ok('snapshot', `${other}/kid@2`);
  expect(await send(fleet, `${other}/kid`, `${to}/kid`)).toMatchObject(refusedFor(`${to}/kid`));
  expect(words(to, 'key', '', '/kid')).toEqual(['first', 'first']);
  z.ok('change-key', '-o', 'keyformat=passphrase', '-o', `keylocation=${keyOf('key')}`, `${to}/kid`);
  expect(await send(fleet, `${other}/kid`, `${to}/kid`)).toMatchObject({ state: 'done', done: 1 });
  expect(words(`${to}/kid`, 'other', '')).toEqual(['second']);
});

test('edge case 26: sending back to the origin keeps what inherits its key there readable, also after a change-key on the replica', async () => {
  const fleet = await useFleet(server().url);
  const origin = plantTree('back', 'kid');
  const replica = `${z.target}/back`;
  joinAsNoted((await send(fleet, origin, replica, all)).notes);
  const change = (word: string, ...names: string[]) => {
    for (const name of names) {
      z.zfs('set', 'readonly=off', `${replica}${name}`);
      z.zfs('mount', `${replica}${name}`);
      put(`${replica}${name}`, word);
    }
  };
  // what was mounted and written to is no target
  for (const name of ['/kid', '']) {
    z.ok('unmount', `${origin}${name}`);
    z.ok('rollback', `${origin}${name}@1`);
  }
  z.ok('set', 'readonly=on', origin);
  change('back', '', '/kid');
  z.ok('snapshot', `${replica}/kid@2`);
  expect(await send(fleet, `${replica}/kid`, `${origin}/kid`)).toMatchObject({ state: 'done', done: 1 });
  expect(words(origin, 'key', '', '/kid')).toEqual(['first', 'back']);
  z.ok('change-key', '-o', `keylocation=${keyOf('other')}`, replica);
  change('again', '', '/kid');
  z.ok('snapshot', `${replica}/kid@3`);
  expect(await send(fleet, `${replica}/kid`, `${origin}/kid`)).toMatchObject(refusedFor(`${origin}/kid`));
  z.ok('snapshot', '-r', `${replica}@4`);
  expect(await send(fleet, replica, origin, all)).toMatchObject({ state: 'done' });
  expect(words(origin, 'other', '', '/kid')).toEqual(['again', 'again']);
});
