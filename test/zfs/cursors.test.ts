import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { lab, MIB } from '../contract/zfs-under-test.ts';
import { useFleet } from '../support/fleet.ts';
import { mentions } from '../support/mentions.ts';
import { useNatsServer } from '../support/nats-server.ts';
import type { ServiceProcess } from '../support/service.ts';
import { fast, slow, startHere } from './services.ts';

const server = useNatsServer();
const zfs = lab(512 * MIB);
const start = (service: 'sender' | 'receiver', host: string) =>
  startHere(zfs, server().url, service, host, { ZPSEND_HOLD_NEWEST: 'on' });

/** Started once: starting Node is what takes longest in an emulated machine. */
let receiver: ServiceProcess;
let sender: ServiceProcess;
beforeAll(async () => {
  [receiver, sender] = await Promise.all([start('receiver', 'smos-00'), start('sender', 'smos-01')]);
});
afterAll(async () => {
  await Promise.all([receiver.end(), sender.end()]);
});

/** A dataset for each test, and where it goes. */
let source = '';
let target = '';
let count = 0;
beforeEach(() => {
  fast();
  [source, target] = [`${zfs.source}/t${count}`, `${zfs.target}/t${count++}`];
  zfs.ok('create', source);
});
const body = () => ({ dataset: source, to: { host: 'smos-00', dataset: target } });

const listed = (type: string, dataset: string): string[] =>
  zfs.ok('list', '-Hp', '-d', '1', '-t', type, '-o', 'name', '-s', 'createtxg', dataset);
const holds = (dataset: string): string[] =>
  zfs.ok('holds', '-H', ...listed('snapshot', dataset)).map((line) => line.split('\t').slice(0, 2).join(' '));
const expectCursorOf = (guid: string): void => {
  expect(listed('bookmark', source)).toEqual([
    expect.stringMatching(new RegExp(`#zpsend_smos-00_[0-9a-f]{8}_${guid}$`)),
  ]);
};

function snapshot(name: string, bytes: number): string {
  zfs.write(source, bytes);
  zfs.ok('snapshot', `${source}@${name}`);
  return zfs.value('guid', `${source}@${name}`);
}

test('edge case 24: with every source snapshot destroyed the next incremental arrives, and its base has a hold on the target', async () => {
  const fleet = await useFleet(server().url);
  snapshot('a', 100_000);
  const guid = snapshot('b', 100_000);
  expect(await fleet.send('smos-01', body())).toMatchObject({ state: 'done', done: 2 });
  expectCursorOf(guid);
  zfs.ok('destroy', `${source}@a,b`);
  await expect.poll(() => holds(target)).toEqual([`${target}@b zpsend:base`]);
  expect(zfs.zfs('destroy', `${target}@b`).stderr).toMatch(/held|busy/);

  const next = snapshot('c', 100_000);
  expect(await fleet.send('smos-01', body())).toMatchObject({ state: 'done', done: 1 });
  expect(zfs.digest(`${target}@c`)).toBe(zfs.digest(`${source}@c`));
  expectCursorOf(next);
  expect(holds(source)).toEqual([]);
  await expect.poll(() => holds(target)).toEqual([`${target}@c zpsend:base`]);
}, 600_000);

test('I9: a sender killed in mid-stream leaves a hold or a bookmark of its base, and the next run leaves one cursor and no hold', async () => {
  const fleet = await useFleet(server().url);
  snapshot('a', 100_000);
  const guid = snapshot('b', 8 * MIB);
  slow(MIB);
  const job = await fleet.begin('smos-01', body());
  await expect.poll(async () => (await fleet.status('smos-01', job))?.bytes ?? 0).toBeGreaterThan(2 * MIB);
  await sender.end('SIGKILL');
  for (const name of ['a', 'b']) expect(zfs.zfs('destroy', `${source}@${name}`).stderr).toMatch(/held|busy/);
  fast();
  sender = await start('sender', 'smos-01');
  expect(await fleet.send('smos-01', body())).toMatchObject({ state: 'done', done: 1 });
  expect(zfs.digest(`${target}@b`)).toBe(zfs.digest(`${source}@b`));
  expectCursorOf(guid);
  expect(holds(source)).toEqual([]);
}, 600_000);

/** Removes the files of a clone: what it lacks is what a redaction with it leaves out. */
function empty(clone: string): void {
  const folder = zfs.value('mountpoint', clone);
  for (const name of readdirSync(folder)) rmSync(join(folder, name));
}

test('edge case 27: beside a redaction bookmark of its snapshot the cursor is the base, and without its key an encrypted dataset continues raw', async () => {
  const fleet = await useFleet(server().url);
  const folder = mkdtempSync(join(tmpdir(), 'zpsend-redact-'));
  writeFileSync(join(folder, 'key'), '12345678\n');
  const [secret, without] = [`${source}/secret`, `${source}/without`];
  zfs.ok(
    'create',
    '-o',
    'encryption=on',
    '-o',
    'keyformat=passphrase',
    '-o',
    `keylocation=file://${folder}/key`,
    secret,
  );
  const asked = { dataset: secret, to: { host: 'smos-00', dataset: target } };
  zfs.write(secret, 300_000);
  zfs.ok('snapshot', `${secret}@1`);
  expect(await fleet.send('smos-01', asked)).toMatchObject({ state: 'done', done: 1 });

  zfs.ok('clone', `${secret}@1`, without);
  empty(without);
  zfs.ok('snapshot', `${without}@1`);
  // by name it comes before the cursor
  zfs.ok('redact', `${secret}@1`, 'a-redaction', `${without}@1`);
  zfs.ok('destroy', '-r', without);
  zfs.ok('destroy', `${secret}@1`);
  zfs.write(secret, 300_000);
  zfs.ok('snapshot', `${secret}@2`);
  zfs.ok('unmount', secret);
  zfs.ok('unload-key', secret);
  const explicit = await fleet.send('smos-01', { ...asked, dataset: `${secret}@2`, from: '#a-redaction' });
  expect(explicit).toMatchObject({ state: 'failed', error: { code: 'UNSUPPORTED' } });
  expect(await fleet.send('smos-01', asked)).toMatchObject({ state: 'done', done: 1 });
  for (const name of [secret, target]) zfs.ok('load-key', '-L', `file://${folder}/key`, name);
  expect(zfs.digest(`${target}@2`)).toBe(zfs.digest(`${secret}@2`));
  expect(listed('bookmark', secret)).toHaveLength(2);

  // where only the redaction bookmark is left, the command in the error makes a base of it
  const guid = zfs.value('guid', `${secret}@2`);
  zfs.ok('clone', `${secret}@2`, without);
  zfs.ok('snapshot', `${without}@2`);
  zfs.ok('redact', `${secret}@2`, 'b-redaction', `${without}@2`);
  zfs.ok('destroy', '-r', without);
  zfs.ok('destroy', `${secret}@2`);
  for (const name of listed('bookmark', secret)) if (name.includes('#zpsend_')) zfs.ok('destroy', name);
  zfs.ok('snapshot', `${secret}@3`);
  const diverged = await fleet.send('smos-01', asked);
  expect(diverged).toMatchObject({ state: 'failed', error: { code: 'DIVERGED' } });
  expect(diverged.error?.message).toEqual(mentions(`zfs bookmark ${secret}#b-redaction ${secret}#NAME`));
  zfs.ok('bookmark', `${secret}#b-redaction`, `${secret}#ordinary`);
  expect(zfs.value('guid', `${secret}#ordinary`)).toBe(guid);
  expect(await fleet.send('smos-01', asked)).toMatchObject({ state: 'done', done: 1 });
  expect(zfs.digest(`${target}@3`)).toBe(zfs.digest(`${secret}@3`));
}, 600_000);

test('edge case 27: what was received redacted is neither sent on nor takes an increment', async () => {
  const fleet = await useFleet(server().url);
  const [without, redacted] = [`${source}-without`, `${target}-redacted`];
  snapshot('1', 300_000);
  zfs.ok('clone', `${source}@1`, without);
  empty(without);
  zfs.ok('snapshot', `${without}@1`);
  zfs.ok('redact', `${source}@1`, 'redaction', `${without}@1`);
  zfs.feed(zfs.stream('--redact', 'redaction', `${source}@1`), 'receive', '-u', redacted);
  snapshot('2', 100_000);
  const onto = await fleet.send('smos-01', { dataset: source, to: { host: 'smos-00', dataset: redacted } });
  expect(onto).toMatchObject({ state: 'failed', error: { code: 'UNSUPPORTED', details: { dataset: redacted } } });
  const on = await fleet.send('smos-01', { dataset: redacted, to: { host: 'smos-00', dataset: target } });
  expect(on).toMatchObject({ state: 'failed', error: { code: 'UNSUPPORTED', details: { dataset: redacted } } });
  expect(zfs.zfs('list', target).exit).toBe(1);
}, 600_000);
