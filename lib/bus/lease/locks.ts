import { setTimeout as sleep } from 'node:timers/promises';
import { JetStreamApiError, type StoredMsg } from '@nats-io/jetstream';
import type { KV } from '@nats-io/kv';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { Lock } from '../../../schemas/transfer.ts';
import type { Bus } from '../connect.ts';
import { type BucketState, bucketError, makeBucket, openBucket, stateOf } from '../kv-bucket.ts';
import { isValue, lastMessages } from '../last-messages.ts';
import { keySubject, lockKey, locksBucket, parseKeySubject, parseLockKey } from '../subjects.ts';
import { keepLease, type Lease, lockIn, lockOf } from './lease.ts';
import { renewsWithinMs } from './lease-state.ts';

export interface HeldLock extends Lock {
  host: string;
  dataset: string;
  revision: number;
  /** When it was last renewed. */
  renewed: Date;
}

/** The locks that every host on the bus sees: KV bucket `zfs-locks`. */
export interface Locks {
  /** @throws ZpsendError LOCKED with who holds it in `details`; UNREACHABLE when nobody can say */
  acquire(host: string, dataset: string, lock: Lock): Promise<Lease>;
  list(): Promise<HeldLock[]>;
}

const description = 'zpsend: one receive into a dataset at a time';

/**
 * A bucket may have been made because the one before it was lost, with locks in it whose holders have yet to find out. They
 * do at their next renewal, so for that long, and a second for their requests, a new bucket gives no lock (I13).
 */
const settlesWithinMs = renewsWithinMs + 1000;

function heldBy(message: StoredMsg): HeldLock | undefined {
  const place = parseLockKey(parseKeySubject(locksBucket, message.subject) ?? '');
  const lock = isValue(message) ? lockOf(message) : undefined;
  return lock && place && { ...lock, ...place, revision: message.seq, renewed: message.time };
}

/** Without a consumer, so that a host needs no permission to make one. */
async function heldIn(bus: Bus): Promise<HeldLock[]> {
  const { found } = await lastMessages(bus, `KV_${locksBucket}`, keySubject(locksBucket, '>'), heldBy);
  return [...found].sort((a, b) => (a.host + a.dataset < b.host + b.dataset ? -1 : 1));
}

/**
 * The locks that are held now; makes nothing.
 * @throws ZpsendError UNSUPPORTED when JetStream is off, UNREACHABLE when it does not answer
 */
export async function listLocks(bus: Bus): Promise<HeldLock[]> {
  try {
    const kv = await openBucket(bus, locksBucket);
    return (await stateOf(kv)) ? await heldIn(bus) : [];
  } catch (error) {
    throw bucketError(error, `the bucket ${locksBucket} cannot be read`);
  }
}

function lockedBy(host: string, dataset: string, holder: Lock | undefined, revision: number | undefined): ZpsendError {
  const by = holder ? ` (from ${holder.source}, by ${holder.owner})` : '';
  return new ZpsendError(
    'LOCKED',
    `${dataset} on ${host} is already being received${by}: its lock is released when that transfer ends, and expires when its host is down`,
    {
      dataset,
      host,
      ...(holder && { owner: holder.owner, source: holder.source, transferHash: holder.transferHash }),
      // every renewal makes a new revision: it grows while the holder lives
      ...(revision !== undefined && { life: revision }),
    },
  );
}

/**
 * The bucket of locks as it is now, made where there is none: for the first time, or because it was lost.
 * @param ttl time to live of a lock when it is made now, in milliseconds
 * @throws ZpsendError UNSUPPORTED for a bucket without a time to live
 */
async function ensure(bus: Bus, kv: KV, ttl: number): Promise<BucketState> {
  const before = await stateOf(kv);
  if (!before) await makeBucket(bus, locksBucket, { ttl, description });
  const state = before ?? (await stateOf(kv));
  if (!state) throw new ZpsendError('UNREACHABLE', `the bucket ${locksBucket} was deleted as soon as it was made`);
  if (state.ttl > 0) return state;
  throw new ZpsendError(
    'UNSUPPORTED',
    `the bucket ${locksBucket} has no time to live: a dead host's locks would stay forever; ` +
      `mend it with: nats stream edit KV_${locksBucket} --max-age ${ttl / 1000}s`,
  );
}

/**
 * Opens the bucket of locks, and makes it where there is none yet.
 * @param seconds time to live of a lock when the bucket is made; an existing bucket keeps its own
 * @throws ZpsendError UNSUPPORTED when JetStream is off, UNREACHABLE when it does not answer
 */
export async function openLocks(bus: Bus, seconds: number): Promise<Locks> {
  let kv: KV;
  try {
    kv = await openBucket(bus, locksBucket);
    await ensure(bus, kv, seconds * 1000);
  } catch (error) {
    throw bucketError(error, `the bucket ${locksBucket} cannot be opened`);
  }

  /** What a lock taken now lives by; looked up each time, since the bucket can be changed, and lost. */
  async function ttlNow(): Promise<number> {
    try {
      const { ttl, age } = await ensure(bus, kv, seconds * 1000);
      if (age < settlesWithinMs) await sleep(Math.min(settlesWithinMs, settlesWithinMs - age));
      return ttl;
    } catch (error) {
      throw bucketError(error, `the bucket ${locksBucket} cannot be read`);
    }
  }

  async function acquire(host: string, dataset: string, lock: Lock): Promise<Lease> {
    const key = lockKey(host, dataset);
    const ttl = await ttlNow();
    const before = performance.now();
    try {
      const revision = await kv.create(key, JSON.stringify(lock));
      return keepLease(kv, key, lock, revision, before, ttl);
    } catch (error) {
      // refused, or unclear: only what is stored now tells whether it was us
      const entry = await kv.get(key).catch((unread) => {
        throw bucketError(unread, `the lock ${key} cannot be read`);
      });
      const holder = lockIn(entry);
      if (entry && holder?.nonce === lock.nonce) return keepLease(kv, key, lock, entry.revision, before, ttl);
      if (entry?.operation === 'PUT') throw lockedBy(host, dataset, holder, entry.revision);
      // 10071: somebody had it, and has given it back since
      if (error instanceof JetStreamApiError && error.code === 10071) return acquire(host, dataset, lock);
      throw bucketError(error, `the lock ${key} cannot be taken`);
    }
  }

  return { acquire, list: () => heldIn(bus) };
}
