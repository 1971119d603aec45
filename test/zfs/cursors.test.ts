import { afterAll, beforeAll, expect, test } from 'vitest';
import { lab, MIB } from '../contract/zfs-under-test.ts';
import { useFleet } from '../support/fleet.ts';
import { useNatsServer } from '../support/nats-server.ts';
import type { ServiceProcess } from '../support/service.ts';
import { fast, slow, startHere } from './services.ts';

const server = useNatsServer();
const zfs = lab(512 * MIB);
const source = () => `${zfs.source}/test`;
const target = () => `${zfs.target}/test`;
const body = () => ({ dataset: source(), to: { host: 'smos-00', dataset: target() } });
const start = (service: 'sender' | 'receiver', host: string) =>
  startHere(zfs, server().url, service, host, { ZPSEND_HOLD_NEWEST: 'on' });

let receiver: ServiceProcess;
let sender: ServiceProcess;
beforeAll(async () => {
  [receiver, sender] = await Promise.all([start('receiver', 'smos-00'), start('sender', 'smos-01')]);
});
afterAll(async () => {
  await Promise.all([receiver.end(), sender.end()]);
});

const listed = (type: string, dataset: string): string[] =>
  zfs.ok('list', '-Hp', '-d', '1', '-t', type, '-o', 'name', '-s', 'createtxg', dataset);
const holds = (dataset: string): string[] =>
  zfs.ok('holds', '-H', ...listed('snapshot', dataset)).map((line) => line.split('\t').slice(0, 2).join(' '));

function snapshot(name: string, bytes: number): void {
  zfs.write(source(), bytes);
  zfs.ok('snapshot', `${source()}@${name}`);
}

test('I9: with every source snapshot destroyed, and a sender killed in between, the next incremental arrives, and its base is held there', async () => {
  const fleet = await useFleet(server().url);
  fast();
  zfs.ok('create', source());
  snapshot('a', 100_000);
  snapshot('b', 100_000);
  expect(await fleet.send('smos-01', body())).toMatchObject({ state: 'done', done: 2 });
  expect(listed('bookmark', source())).toHaveLength(1);
  expect(listed('bookmark', source())[0]).toMatch(
    new RegExp(`#zpsend_smos-00_[0-9a-f]{8}_${zfs.value('guid', `${source()}@b`)}$`),
  );
  zfs.ok('destroy', `${source()}@a,b`);
  await expect.poll(() => holds(target())).toEqual([`${target()}@b zpsend:base`]);
  expect(zfs.zfs('destroy', `${target()}@b`).stderr).toMatch(/held|busy/);

  snapshot('c', 16 * MIB);
  slow(MIB);
  const job = await fleet.begin('smos-01', body());
  await expect.poll(async () => (await fleet.status('smos-01', job))?.bytes ?? 0).toBeGreaterThan(3 * MIB);
  await sender.end('SIGKILL');
  expect(zfs.zfs('destroy', `${source()}@c`).stderr).toMatch(/held|busy/);
  fast();
  sender = await start('sender', 'smos-01');
  expect(await fleet.send('smos-01', body())).toMatchObject({ state: 'done', done: 1 });
  expect(zfs.digest(`${target()}@c`)).toBe(zfs.digest(`${source()}@c`));
  expect(holds(source())).toEqual([]);
  expect(listed('bookmark', source())).toHaveLength(1);
  await expect.poll(() => holds(target())).toEqual([`${target()}@c zpsend:base`]);

  // the receiver settles before it ends
  snapshot('d', 100_000);
  expect(await fleet.send('smos-01', body())).toMatchObject({ state: 'done', done: 1 });
  expect(await receiver.end('SIGTERM')).toBe(0);
  expect(holds(target())).toEqual([`${target()}@d zpsend:base`]);
});
