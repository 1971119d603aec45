import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { SendRequest } from '../../schemas/request.ts';
import { lab, MIB } from '../contract/zfs-under-test.ts';
import { type Fleet, useFleet } from '../support/fleet.ts';
import { useNatsServer } from '../support/nats-server.ts';
import type { ServiceProcess } from '../support/service.ts';
import { fast, slow, startHere } from './services.ts';

const server = useNatsServer();
const z = lab(512 * MIB);
const folder = mkdtempSync(join(tmpdir(), 'zpsend-key-'));
const keyfile = `file://${folder}/key`;
const key = ['-o', 'encryption=on', '-o', 'keyformat=passphrase', '-o', `keylocation=${keyfile}`];

let services: ServiceProcess[] = [];
let tree = '';
/** The host that never sees the key, a new place that does, and one that is not encrypted. */
let [blind, back, clear] = ['', '', ''];

const start = (service: 'sender' | 'receiver', host: string) => startHere(z, server().url, service, host);
beforeAll(async () => {
  writeFileSync(join(folder, 'key'), '12345678\n');
  tree = `${z.source}/enc`;
  [blind, back, clear] = [`${z.target}/blind`, `${z.target}/back`, `${z.target}/clear`];
  z.ok('create', ...key, tree);
  for (const kid of ['kid', 'kid/deep']) z.ok('create', `${tree}/${kid}`);
  z.ok('create', ...key, `${tree}/own`);
  z.ok('create', '-V', '1M', `${tree}/vol`);
  for (const name of [tree, `${tree}/kid`, `${tree}/own`]) z.write(name, 200_000);
  z.ok('snapshot', '-r', `${tree}@1`);
  z.ok('clone', `${tree}/kid@1`, `${tree}/clone`);
  z.write(`${tree}/clone`, 50_000);
  z.ok('snapshot', `${tree}/clone@1`);
  // the bus sees one host with two names; each writes into its own part of one pool
  services = await Promise.all([start('receiver', 'smos-00'), start('sender', 'smos-01')]);
});
afterAll(async () => {
  await Promise.all(services.map((service) => service.end()));
  rmSync(folder, { recursive: true });
});
beforeEach(fast);

const send = (fleet: Fleet, from: string, into: string, more: Partial<SendRequest> = {}) =>
  fleet.send('smos-01', { dataset: from, to: { host: 'smos-00', dataset: into }, package: 'replication', ...more });

const snapshots = (root: string) => z.ok('list', '-Hp', '-r', '-t', 'snapshot', '-o', 'name,guid', root);
const relative = (root: string) => snapshots(root).map((line) => line.slice(root.length));

/** Every snapshot of a filesystem below `root` holds the same files as the tree's. */
function expectContents(root: string): void {
  expect(relative(root)).toEqual(relative(tree));
  const names = snapshots(root).map((line) => line.split('\t', 1)[0] ?? '');
  for (const name of names.filter((one) => !one.includes('/vol@'))) {
    expect(z.digest(name), name).toBe(z.digest(`${tree}${name.slice(root.length)}`));
  }
}

test('an encrypted tree goes raw to a host that never sees the key, step by step, also after an interruption', async () => {
  const fleet = await useFleet(server().url);
  expect(await send(fleet, tree, blind)).toMatchObject({ state: 'done', done: 6 });
  expect(z.ok('list', '-H', '-r', '-o', 'keystatus', blind)).toEqual(Array(6).fill('unavailable'));

  for (const name of [tree, `${tree}/own`]) z.write(name, 100_000);
  z.ok('snapshot', '-r', `${tree}@2`);
  expect(await send(fleet, tree, blind)).toMatchObject({ state: 'done', done: 6 });

  z.write(`${tree}/kid`, 3 * MIB);
  z.ok('snapshot', `${tree}/kid@3`);
  slow(MIB);
  const one = { dataset: `${tree}/kid`, to: { host: 'smos-00', dataset: `${blind}/kid` } };
  const job = await fleet.begin('smos-01', one);
  await expect.poll(async () => (await fleet.status('smos-01', job))?.bytes ?? 0).toBeGreaterThan(MIB);
  await services[1]?.end('SIGKILL');
  services[1] = await start('sender', 'smos-01');
  fast();
  expect(await fleet.send('smos-01', one)).toMatchObject({ state: 'done', done: 1 });
  expect(relative(blind)).toEqual(relative(tree));
  expect(z.ok('list', '-H', '-r', '-o', 'keystatus', blind)).toEqual(Array(6).fill('unavailable'));
});

test('it comes back raw to a new place, where its key is loaded, its keys are joined, and every file is there', async () => {
  const fleet = await useFleet(server().url);
  const asked = { dataset: blind, to: { host: 'smos-00', dataset: back }, package: 'replication' } as const;
  expect(await fleet.send('smos-01', asked)).toMatchObject({ state: 'done' });
  for (const name of [back, `${back}/kid`, `${back}/kid/deep`, `${back}/own`, `${back}/vol`]) {
    z.ok('load-key', '-L', keyfile, name);
  }
  for (const name of [`${back}/kid`, `${back}/kid/deep`, `${back}/vol`]) z.ok('change-key', '-i', name);
  expect(z.ok('list', '-H', '-r', '-o', 'encryptionroot', back)).toEqual([
    ...[back, back, back, back],
    ...[`${back}/own`, back],
  ]);
  expectContents(back);
});

test('with --no-raw it is plain on the target where it may, and the job notes that', async () => {
  const fleet = await useFleet(server().url);
  const job = await send(fleet, tree, clear, { stream: { raw: false } });
  expect(job).toMatchObject({ state: 'done' });
  expect(new Set(job.notes?.map(({ kind }) => kind))).toEqual(new Set(['in-the-clear']));
  expect(new Set(z.ok('list', '-H', '-r', '-o', 'encryption', clear))).toEqual(new Set(['off']));
  expectContents(clear);
  expect(await send(fleet, tree, clear)).toMatchObject({ state: 'done', done: 0 });
});

/** The datasets of a package that cannot be sent, by name, with their codes. */
const refusedOf = async (fleet: Fleet, job: string) =>
  ((await fleet.status('smos-01', job))?.datasets?.list ?? [])
    .flatMap(({ dataset, error }) => (error ? [[dataset, error.code]] : []))
    .sort();

test('edge case 28: of a partly encrypted tree all that is raw arrives without the key; with the key the rest follows (openzfs#13033, zrepl#342)', async () => {
  const fleet = await useFleet(server().url);
  const [part, into] = [`${z.source}/part`, `${z.target}/part`];
  z.ok('create', ...key, part);
  for (const kid of ['raw', 'gap', 'gap/raw']) z.ok('create', `${part}/${kid}`);
  z.ok('create', '-o', 'encryption=off', `${part}/plain`);
  for (const kid of ['', '/raw', '/gap/raw', '/plain']) {
    z.write(`${part}${kid}`, 200_000);
    z.ok('snapshot', `${part}${kid}@1`);
  }
  const first = await send(fleet, part, into);
  expect(first).toMatchObject({ state: 'failed', done: 2, error: { code: 'KEY_REQUIRED' } });
  const late = [
    [`${part}/gap/raw`, 'KEY_REQUIRED'],
    [`${part}/plain`, 'KEY_REQUIRED'],
  ];
  expect(await refusedOf(fleet, first.job)).toEqual(late);
  expect(snapshots(into).map((line) => line.split('\t')[0])).toEqual([`${into}@1`, `${into}/raw@1`]);

  for (const kid of ['', '/raw', '/gap/raw', '/plain']) z.ok('snapshot', `${part}${kid}@2`);
  const second = await send(fleet, part, into);
  expect(second).toMatchObject({ state: 'failed', done: 2, error: { code: 'KEY_REQUIRED' } });
  expect(await refusedOf(fleet, second.job)).toEqual(late);

  z.ok('load-key', '-L', keyfile, into);
  expect(await send(fleet, part, into)).toMatchObject({ state: 'done', done: 4 });
  z.ok('load-key', '-L', keyfile, `${into}/raw`);
  z.ok('load-key', '-L', keyfile, `${into}/gap/raw`);
  for (const kid of ['', '/raw', '/gap/raw', '/plain']) {
    expect(z.digest(`${into}${kid}@2`), kid).toBe(z.digest(`${part}${kid}@2`));
  }
  expect(z.value('encryption', `${into}/plain`)).toBe('aes-256-gcm');

  // the plain one needs the key at each increment, and hinders no other where it is away
  for (const name of [`${into}/plain`, `${into}/gap`, into]) z.zfs('unmount', name);
  z.ok('unload-key', into);
  for (const kid of ['', '/raw', '/gap/raw', '/plain']) z.ok('snapshot', `${part}${kid}@3`);
  const third = await send(fleet, part, into);
  expect(third).toMatchObject({ state: 'failed', done: 3, error: { code: 'KEY_REQUIRED' } });
  expect(await refusedOf(fleet, third.job)).toEqual([[`${part}/plain`, 'KEY_REQUIRED']]);
  z.ok('load-key', '-L', keyfile, into);
  expect(await send(fleet, part, into)).toMatchObject({ state: 'done', done: 1 });
});

test('edge case 29: --embed into an encrypted place is refused before anything is sent, and goes without it (openzfs#10732, #8886)', async () => {
  const fleet = await useFleet(server().url);
  const [small, place] = [`${z.source}/small`, `${z.target}/place`];
  z.ok('create', '-o', 'compression=lz4', small);
  writeFileSync(join(z.value('mountpoint', small), 'small'), 'a'.repeat(100));
  z.ok('snapshot', `${small}@1`);
  z.ok('create', ...key, place);
  const one = { dataset: small, to: { host: 'smos-00', dataset: `${place}/small` } };
  const embed = { ...one, stream: { embed: true } };
  expect(await fleet.send('smos-01', embed)).toMatchObject({
    state: 'failed',
    done: 0,
    error: { code: 'UNSUPPORTED' },
  });
  expect(z.zfs('list', `${place}/small`).exit).toBe(1);
  expect(await fleet.send('smos-01', one)).toMatchObject({ state: 'done', done: 1 });
  z.ok('snapshot', `${small}@2`);
  expect(await fleet.send('smos-01', embed)).toMatchObject({
    state: 'failed',
    done: 0,
    error: { code: 'UNSUPPORTED' },
  });
  expect(await fleet.send('smos-01', one)).toMatchObject({ state: 'done', done: 1 });
  expect(z.digest(`${place}/small@2`)).toBe(z.digest(`${small}@2`));
});
