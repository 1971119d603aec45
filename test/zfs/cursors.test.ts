import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { lab, MIB } from '../contract/zfs-under-test.ts';
import { useFleet } from '../support/fleet.ts';
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

/** A dataset of its own for each test, and where it goes. */
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

test('edge case 24: with every source snapshot destroyed the next incremental arrives, and what it starts from is held on the target', async () => {
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

test('I9: a sender killed in mid-stream leaves its base held or bookmarked, and the next run leaves one cursor and no hold', async () => {
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
