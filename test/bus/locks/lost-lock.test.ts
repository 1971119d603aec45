import { existsSync, readFileSync } from 'node:fs';
import { jetstream } from '@nats-io/jetstream';
import { type KV, Kvm } from '@nats-io/kv';
import { expect, test } from 'vitest';
import { openLocks } from '../../../lib/bus/locks/locks.ts';
import { lockKey, locksBucket } from '../../../lib/bus/subjects.ts';
import { type Fleet, useFleet } from '../../support/fleet.ts';
import { newNatsAccount } from '../../support/nats-account.ts';
import type { ServiceProcess } from '../../support/service.ts';
import type { SimHost } from '../../support/sim-host.ts';

const body = { dataset: 'zones/test', to: { host: 'smos-00' } };
const key = lockKey('smos-00', 'zones/test');
/** At the receiver's rate limit far longer than a lease takes to find out, in bytes. */
const long = 32_000_000;

interface Pair {
  fleet: Fleet;
  source: SimHost;
  target: SimHost;
  kv: KV;
  receiver: ServiceProcess;
}

/** Two hosts and their services, and a snapshot of so many bytes that is received slowly. */
async function usePair(size: number): Promise<Pair> {
  const fleet = await useFleet(await newNatsAccount());
  const [source, target] = await Promise.all([fleet.host('smos-01'), fleet.host('smos-00')]);
  for (const host of [source, target]) await host.zpool('create', 'zones');
  await source.zfs('create', 'zones/test');
  await source.zfs('set', `zfs-sim:write=${size}`, 'zones/test');
  await source.zfs('snapshot', 'zones/test@one');
  const slow = { ZPSEND_ALLOW: '*=zones', ZFS_SIM_RECV_RATE: '5M', ZPSEND_LOCK_SECONDS: '30' };
  const receiver = await fleet.start('receiver', target, slow);
  await fleet.start('sender', source);
  return { fleet, source, target, receiver, kv: await new Kvm(jetstream(fleet.bus.nc)).open(locksBucket) };
}

/** The process of `zfs receive`, once it reads the stream. */
async function midStream({ fleet, receiver }: Pair, job: string): Promise<number> {
  const bytes = async () => (await fleet.status('smos-01', job))?.bytes ?? 0;
  await expect.poll(bytes, { timeout: 30_000 }).toBeGreaterThan(9_000_000);
  const children = readFileSync(`/proc/${receiver.pid}/task/${receiver.pid}/children`, 'utf8').trim().split(' ');
  const pid = children.find((child) => readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('\0receive\0'));
  expect(pid).toBeDefined();
  return Number(pid);
}

/** A function that resolves when the lock has another holder than now. */
async function nextLock({ fleet }: Pair): Promise<() => Promise<void>> {
  const locks = await openLocks(fleet.bus, 30);
  const holder = async () => (await locks.list().catch(() => []))[0]?.nonce;
  const first = await holder();
  const isAnother = async () => ![undefined, first].includes(await holder());
  return () => expect.poll(isAnother, { timeout: 30_000, interval: 20 }).toBe(true);
}

async function expectArrived({ fleet, source, target }: Pair, job: string): Promise<void> {
  expect(await fleet.ended('smos-01', job)).toMatchObject({ state: 'done', done: 1 });
  const guids = (host: SimHost) => host.zfs('list', '-Hp', '-t', 'snapshot', '-o', 'name,guid', 'zones/test');
  expect(await guids(target)).toBe(await guids(source));
  await expect.poll(async () => (await openLocks(fleet.bus, 30)).list(), { timeout: 30_000 }).toEqual([]);
}

test.each<[string, (kv: KV) => Promise<unknown>]>([
  ['whose lock is deleted', (kv) => kv.delete(key)],
  ['whose bucket of locks is deleted', (kv) => kv.destroy()],
])('I13: a receive %s is dead before anyone else has the lock, and the job continues by itself', async (_, lose) => {
  const pair = await usePair(long);
  const job = await pair.fleet.begin('smos-01', body);
  const process = await midStream(pair, job);
  const somebodyElse = await nextLock(pair);
  await lose(pair.kv);
  await somebodyElse();
  expect(existsSync(`/proc/${process}`)).toBe(false);
  const snapshots = await pair.target.zfs('list', '-Hp', '-t', 'snapshot', '-o', 'name');
  expect(snapshots, 'it was ended, and did not come to its own end').toBe('');
  await expectArrived(pair, job);
});

test('a receiver needs no restart when the bucket of locks was lost while nothing ran', async () => {
  const pair = await usePair(1_000_000);
  await pair.kv.destroy();
  await expectArrived(pair, await pair.fleet.begin('smos-01', body));
});
