import { existsSync } from 'node:fs';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { openEntries } from '../../../lib/bus/locks/entries.ts';
import { keepLease, type Lease } from '../../../lib/bus/locks/lease.ts';
import { settlesWithinMs } from '../../../lib/bus/locks/lease-state.ts';
import { type Locks, openLocks } from '../../../lib/bus/locks/locks.ts';
import { openOwnWrites } from '../../../lib/bus/locks/own-writes.ts';
import { hashOfTransfer } from '../../../lib/bus/locks/transfer-hash.ts';
import { keySubject, lockKey, locksBucket } from '../../../lib/bus/subjects.ts';
import type { ZpsendError } from '../../../schemas/errors.ts';
import type { Lock } from '../../../schemas/transfer.ts';
import { useBus } from '../../support/bus.ts';
import { useFleet } from '../../support/fleet.ts';
import { useGate } from '../../support/gate.ts';
import { newNatsAccount } from '../../support/nats-account.ts';
import { begin, data } from '../../support/scripted-sender.ts';

const host = 'smos-00';
const dataset = 'tank/a';
const stream = `KV_${locksBucket}`;
const key = lockKey(host, dataset);
let count = 0;
const aLock = (): Lock => {
  count += 1;
  const transferHash = hashOfTransfer(`transfer${count}`);
  return { owner: `${host}/one`, nonce: crypto.randomUUID(), transferHash, source: 'smos-01' };
};

const mayAct = (lease: Lease): boolean => {
  try {
    lease.assertHeld();
    return true;
  } catch {
    return false;
  }
};

/** With a bucket as it was made before: its entries can be purged and deleted. */
async function useLockBucket(seconds = 4): Promise<string> {
  const url = await newNatsAccount();
  const { nc } = await useBus(url);
  await new Kvm(jetstream(nc)).create(locksBucket, { history: 1, ttl: seconds * 1000 });
  return url;
}

/** Takes the lock as soon as it can be had. */
async function takeWhenFree(locks: Locks): Promise<Lease> {
  for (;;) {
    const taken = await locks.acquire(host, dataset, aLock()).catch((error: ZpsendError) => error);
    if (!('code' in taken)) return taken;
    expect(taken.code).toBe('LOCKED');
  }
}

const manager = ({ nc }: Bus) => jetstreamManager(nc, { checkAPI: false });
const bucket = ({ nc }: Bus) => new Kvm(jetstream(nc)).open(locksBucket);

async function shorten(bus: Bus): Promise<void> {
  const { streams } = await manager(bus);
  const { config } = await streams.info(stream);
  await streams.update(stream, { ...config, max_age: 1e9, duplicate_window: 1e9 });
}

type TakingAway = [string, (bus: Bus) => Promise<unknown>];

/** They leave no marker, and what is older stays. */
const alone: TakingAway[] = [
  [
    'that is purged alone',
    async (bus) => (await manager(bus)).streams.purge(stream, { filter: keySubject(locksBucket, key) }),
  ],
  [
    'whose message is deleted',
    async (bus) => {
      const { revision = 0 } = (await (await bucket(bus)).get(key)) ?? {};
      await (await manager(bus)).streams.deleteMessage(stream, revision);
    },
  ],
];
const takings: TakingAway[] = [
  ...alone,
  ['whose bucket is purged', async (bus) => (await manager(bus)).streams.purge(stream)],
  ['that a client deletes', async (bus) => (await bucket(bus)).delete(key)],
  ['that a client purges by its key', async (bus) => (await bucket(bus)).purge(key)],
  ['whose time to live is shortened', shorten],
];

describe('I13: a lock', () => {
  test.each(takings)('%s has no other holder before its holder has stopped', async (_, takeAway) => {
    const url = await useLockBucket();
    const bus = await useBus(url);
    const [one, two] = [await openLocks(bus, 4), await openLocks(await useBus(url), 4)];
    const first = await one.acquire(host, dataset, aLock());
    expect(mayAct(first)).toBe(true);
    await takeAway(bus);
    const second = await takeWhenFree(two);
    expect([mayAct(first), mayAct(second)]).toEqual([false, true]);
    expect(first.lost.aborted).toBe(true);
  });

  test.each(alone)(
    '%s beside an older entry has no other holder before its holder has stopped',
    async (_, takeAway) => {
      const url = await useLockBucket(30);
      const bus = await useBus(url);
      const [one, two] = [await openLocks(bus, 30), await openLocks(await useBus(url), 30)];
      await (await one.acquire(host, 'tank/other', aLock())).release();
      const { streams } = await manager(bus);
      const ageOfOldest = async () => {
        const { ts = '', state } = await streams.info(stream);
        return Date.parse(ts) - Date.parse(state.first_ts);
      };
      await expect.poll(ageOfOldest, { timeout: 10_000 }).toBeGreaterThan(settlesWithinMs);
      const first = await one.acquire(host, dataset, aLock());
      await takeAway(bus);
      const second = await takeWhenFree(two);
      expect(await ageOfOldest(), 'the other entry is still there').toBeGreaterThan(settlesWithinMs);
      expect([mayAct(first), mayAct(second)]).toEqual([false, true]);
      await Promise.all([first.release(), second.release()]);
    },
  );

  test('that is acquired, and taken away before it may be used, has no holder meanwhile', async () => {
    const url = await useLockBucket();
    const bus = await useBus(url);
    const [one, two, three] = [await openLocks(bus, 4), await openLocks(bus, 4), await openLocks(bus, 4)];
    const first = await one.acquire(host, dataset, aLock());
    const { streams } = await manager(bus);
    await streams.purge(stream);
    const waiting = two.acquire(host, dataset, aLock()).catch((error: ZpsendError) => error);
    const kv = await bucket(bus);
    await expect.poll(() => kv.get(key)).not.toBeNull();
    await streams.purge(stream);
    expect(await waiting).toMatchObject({ code: 'LOCKED' });
    const third = await takeWhenFree(three);
    expect([mayAct(first), mayAct(third)]).toEqual([false, true]);
  });

  test('that its holder released is free at once, and so is an unused one where only this process writes', async () => {
    const url = await useLockBucket();
    const bus = await useBus(url);
    const [one, two] = [await openLocks(bus, 4), await openLocks(await useBus(url), 4)];
    await (await one.acquire(host, dataset, aLock())).release();
    const before = performance.now();
    for (const other of ['tank/b', 'tank/c', 'tank/d']) await one.acquire(host, other, aLock());
    await (await two.acquire(host, dataset, aLock())).release();
    await (await one.acquire(host, dataset, aLock())).release();
    expect(performance.now() - before).toBeLessThan(settlesWithinMs);
  });

  test.each([
    ['before it could be used leaves no proof of a release', false, 'removed'],
    ['after that leaves one', true, 'released'],
  ])('that is given back %s', async (_when, isSettled, kind) => {
    const bus = await useBus(await useLockBucket(30));
    const entries = openEntries(bus, openOwnWrites());
    const lock = aLock();
    const since = performance.now();
    const revision = await entries.put(key, lock, 0);
    const lease = keepLease({ entries, ttlNow: async () => undefined }, key, lock, { revision, since, ttl: 30_000 });
    if (isSettled) await lease.settle(since);
    await lease.release();
    expect(await entries.read(key)).toMatchObject({ free: true, key: { kind } });
  });

  test('that is given back before it could be used is no proof for the next', async () => {
    const url = await useLockBucket();
    const bus = await useBus(url);
    const [one, two] = [await openLocks(bus, 4), await openLocks(await useBus(url), 4)];
    const first = await one.acquire(host, dataset, aLock());
    const { streams } = await manager(bus);
    await streams.purge(stream);
    const kv = await bucket(bus);
    const waiting = two.acquire(host, dataset, aLock()).catch(() => undefined);
    await expect.poll(() => kv.get(key)).not.toBeNull();
    // as the second does when it is stopped: a purge marker
    const { revision = 0 } = (await kv.get(key)) ?? {};
    await kv.purge(key, { previousSeq: revision });
    const third = await takeWhenFree(await openLocks(await useBus(url), 4));
    expect(mayAct(first)).toBe(false);
    await Promise.all([waiting, third.release()]);
  });

  test('is not taken twice by one process, though its own writes do not make it wait', async () => {
    const url = await useLockBucket(30);
    const bus = await useBus(url);
    const locks = await openLocks(bus, 30);
    const first = await locks.acquire(host, dataset, aLock());
    await (await manager(bus)).streams.purge(stream);
    const again = await locks.acquire(host, dataset, aLock()).catch((error: ZpsendError) => error);
    expect(again).toMatchObject({ code: 'LOCKED' });
    await takeWhenFree(locks);
    expect(mayAct(first)).toBe(false);
  });
});

test('I13: a receiver that was stopped begins no receive under the lock that another got meanwhile', async () => {
  const url = await useLockBucket();
  const fleet = await useFleet(url);
  const target = await fleet.host(host);
  await target.zpool('create', 'tank');
  const gate = await useGate(target);
  await gate.shut('receive');
  const receiver = await fleet.start('receiver', target, { ZPSEND_ALLOW: '*=tank', ...gate.env });
  const sender = await begin(fleet, { targetDataset: dataset, to: { name: 'zones/a@1', guid: '1' } });
  process.kill(receiver.pid, 'SIGSTOP');
  onTestFinished(() => void process.kill(receiver.pid, 'SIGCONT'));
  // all of it is in the socket of the receiver when it continues
  sender.publish(data(0, Buffer.alloc(20_000)));
  await fleet.bus.nc.flush();
  const other = await takeWhenFree(await openLocks(fleet.bus, 4));
  process.kill(receiver.pid, 'SIGCONT');
  expect(await sender.final).toMatchObject({ type: 'failed', error: { code: 'LOCKED' } });
  expect(existsSync(`${gate.env.GATE}/receive.here`)).toBe(false);
  expect(receiver.lines('receive.started')).toEqual([]);
  other.assertHeld();
});
