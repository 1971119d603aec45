import { setTimeout as sleep } from 'node:timers/promises';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { describe, expect, onTestFinished, test } from 'vitest';
import { checkLocks } from '../../../cli/commands/doctor/checks.ts';
import { createStreamsBucket } from '../../../lib/bus/channel/store/create-bucket.ts';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { keepsEntries } from '../../../lib/bus/jetstream/kv-bucket.ts';
import { openLocks } from '../../../lib/bus/locks/locks.ts';
import { hashOfTransfer } from '../../../lib/bus/locks/transfer-hash.ts';
import { locksBucket } from '../../../lib/bus/subjects.ts';
import type { Lock } from '../../../schemas/transfer.ts';
import { startNatsCluster } from '../../../tools/nats-server/cluster.ts';
import { rejection, useBus } from '../../support/bus.ts';
import { useLink } from '../../support/link.ts';
import { mentions } from '../../support/mentions.ts';
import { newNatsAccount } from '../../support/nats-account.ts';
import { ownNatsServer } from '../../support/nats-server.ts';

const host = 'smos-00';
let count = 0;
const aLock = (): Lock => {
  count += 1;
  return {
    owner: `${host}/instance1`,
    nonce: crypto.randomUUID(),
    transferHash: hashOfTransfer(`transfer${count}`),
    source: 'smos-01',
  };
};
const bucket = async (bus: Bus) => new Kvm(jetstream(bus.nc)).open(locksBucket);

/** As `nats stream edit KV_zfs-locks --max-age` does. */
async function shorten(bus: Bus, seconds: number): Promise<void> {
  const { streams } = await jetstreamManager(bus.nc);
  const { config } = await streams.info(`KV_${locksBucket}`);
  await streams.update(config.name, { ...config, max_age: seconds * 1e9, duplicate_window: seconds * 1e9 });
}

async function useCluster(size: number) {
  const servers = await startNatsCluster(size, { jetstream: true });
  onTestFinished(async () => {
    await Promise.all(servers.map((server) => server.stop()));
  });
  return { servers, bus: await useBus(servers.map(({ url }) => url).join(',')) };
}

describe('a bucket that was lost', () => {
  test('is made again by a process that needs a lock', async () => {
    const url = await newNatsAccount();
    const bus = await useBus(url);
    const locks = await openLocks(bus, 30);
    await (await bucket(bus)).destroy();
    const lease = await locks.acquire(host, 'tank/a', aLock());
    expect(await locks.list()).toMatchObject([{ dataset: 'tank/a', revision: lease.revision }]);
    await lease.release();
  });

  test('I13: its leases are lost before anyone gets their locks in a new one', async () => {
    const url = await newNatsAccount();
    const bus = await useBus(url);
    const one = await openLocks(bus, 30);
    const lease = await one.acquire(host, 'tank/a', aLock());
    await (await bucket(bus)).destroy();
    const two = await openLocks(await useBus(url), 30);
    await (await two.acquire(host, 'tank/a', aLock())).release();
    expect(lease.lost.aborted).toBe(true);
  });
});

describe('I13: a time to live that was shortened', () => {
  test('applies to later locks', async () => {
    const url = await newNatsAccount();
    const bus = await useBus(url);
    const one = await openLocks(bus, 30);
    const two = await openLocks(await useBus(url), 30);
    await shorten(bus, 2);
    const lease = await one.acquire(host, 'tank/a', aLock());
    // longer than the new time to live
    await sleep(3000);
    expect(await rejection(two.acquire(host, 'tank/a', aLock()))).toMatchObject({ code: 'LOCKED' });
    expect(lease.lost.aborted).toBe(false);
  });

  test('applies to an acquired lock: it is kept, and lost in time once it cannot be renewed', async () => {
    const url = await newNatsAccount();
    const link = await useLink(url);
    const bus = await useBus(url);
    const lease = await (await openLocks(await useBus(link.url), 30)).acquire(host, 'tank/a', aLock());
    const two = await openLocks(bus, 30);
    await shorten(bus, 4);
    // longer than the new time to live
    await sleep(6000);
    expect(await rejection(two.acquire(host, 'tank/a', aLock()))).toMatchObject({ code: 'LOCKED' });
    link.cut();
    await expect
      .poll(() => two.acquire(host, 'tank/a', aLock()).catch(() => undefined), { timeout: 20_000 })
      .toBeDefined();
    expect(lease.lost.aborted).toBe(true);
  });
});

describe('in a cluster', () => {
  test('of three the bucket has three copies, and locks are given whichever server is down', async () => {
    const { servers, bus } = await useCluster(3);
    const locks = await openLocks(bus, 30);
    const { replicas, streamInfo } = await (await bucket(bus)).status();
    expect(replicas).toBe(3);
    expect(await checkLocks(bus)).toMatchObject({ result: 'good', found: mentions(3) });
    const leader = Number(streamInfo.cluster?.leader?.slice(1)) - 1;
    await servers[leader]?.kill();
    await expect
      .poll(() => locks.acquire(host, 'tank/a', aLock()).catch(({ code }) => code), { timeout: 50_000 })
      .toHaveProperty('revision');
  });

  test('of two the bucket has one copy, and doctor reports what that means', async () => {
    const { bus } = await useCluster(2);
    await openLocks(bus, 30);
    expect((await (await bucket(bus)).status()).replicas).toBe(1);
    const { result, remedy } = await checkLocks(bus);
    expect(result).toBe('note');
    expect(remedy).toEqual(mentions('nats stream edit KV_zfs-locks --replicas 3'));
  });
});

test('doctor is content with one copy on one server, with no bucket yet, and not with locks that never expire', async () => {
  const url = await newNatsAccount();
  const bus = await useBus(url);
  expect(await checkLocks(bus)).toMatchObject({ result: 'good', found: expect.not.stringMatching(/\d s/) });
  await openLocks(bus, 30);
  expect(await checkLocks(bus)).toMatchObject({ result: 'good', found: mentions('30 s') });
  await shorten(bus, 0);
  expect(await checkLocks(bus)).toMatchObject({ result: 'bad', remedy: mentions('--max-age') });
});

test('doctor notes a bucket whose entries can be taken away, and what its locks wait for', async () => {
  const bus = await useBus(await newNatsAccount());
  await new Kvm(jetstream(bus.nc)).create(locksBucket, { history: 1, ttl: 30_000 });
  const { result, found, remedy } = await checkLocks(bus);
  expect([result, found]).toEqual(['note', mentions('3.5 s')]);
  expect(remedy).toEqual(mentions('zpsend deploy setup --edit'));
  const { streams } = await jetstreamManager(bus.nc);
  await streams.update(`KV_${locksBucket}`, keepsEntries);
  expect(await checkLocks(bus)).toMatchObject({ result: 'good' });
});

test('a user that may make no bucket gets the command that makes it', async () => {
  const config =
    'authorization { users: [{ user: a, password: b, permissions: { publish: { deny: ["$JS.API.STREAM.CREATE.>"] } } }] }';
  const server = await ownNatsServer({ jetstream: true, config });
  const bus = await useBus(server.url, { env: { NATS_URL: server.url, NATS_USER: 'a', NATS_PASSWORD: 'b' } });
  await expect(openLocks(bus, 30)).rejects.toMatchObject({
    code: 'UNREACHABLE',
    details: { reason: 'bucket-denied', bucket: locksBucket },
    message: mentions(
      'nats stream add KV_zfs-locks',
      '--no-allow-rollup --deny-delete --deny-purge --max-msgs-per-subject 1 --max-age 30s --replicas 3',
    ),
  });
  await expect(
    createStreamsBucket(bus, 'src', { maxBytes: 2 ** 30, maxAgeSeconds: 60, replicas: 1 }),
  ).rejects.toMatchObject({
    code: 'NOT_ALLOWED',
    message: mentions('nats object add zfs-streams-src'),
  });
});
