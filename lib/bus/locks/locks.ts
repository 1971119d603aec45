import { JetStreamApiError, type StoredMsg } from '@nats-io/jetstream';
import type { KV } from '@nats-io/kv';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { Lock } from '../../../schemas/transfer.ts';
import { type Clock, systemClock } from '../../time/clock.ts';
import type { Bus } from '../connection/connect.ts';
import { type BucketState, bucketError, makeBucket, openBucket, stateOf, unlessGone } from '../jetstream/kv-bucket.ts';
import { isValue, readBucket } from '../jetstream/read-bucket.ts';
import { lockKey, locksBucket, parseKeySubject, parseLockKey } from '../subjects.ts';
import { type LockEntries, openEntries } from './entries.ts';
import { lockIn } from './found.ts';
import { keepLease, type Lease, type NewLease } from './lease.ts';
import { openOwnWrites } from './own-writes.ts';
import type { LockPlace } from './renewals.ts';
import { openServerClock } from './server-clock.ts';
import { settlingMs } from './vacancy.ts';

export interface HeldLock extends Lock {
  host: string;
  dataset: string;
  revision: number;
  /** When it was last renewed. */
  renewed: Date;
}

/** The locks that every host on the bus sees: KV bucket `zfs-locks`. */
export interface Locks {
  /** @throws ZpsendError LOCKED with who holds it in `details`; UNREACHABLE when that cannot be read */
  acquire(host: string, dataset: string, lock: Lock): Promise<Lease>;
  list(): Promise<HeldLock[]>;
}

const description = 'zpsend: one receive into a dataset at a time';

function heldBy(message: StoredMsg): HeldLock | undefined {
  const place = parseLockKey(parseKeySubject(locksBucket, message.subject) ?? '');
  const lock = isValue(message) ? lockIn(message.string()) : undefined;
  return lock && place && { ...lock, ...place, revision: message.seq, renewed: message.time };
}

/** Without a consumer, so that a host needs no permission to make one. */
async function heldIn(bus: Bus): Promise<HeldLock[]> {
  const { found } = await readBucket(bus, locksBucket, '>', heldBy);
  return [...found].sort((a, b) => (a.host + a.dataset < b.host + b.dataset ? -1 : 1));
}

/**
 * The locks that are held now; makes nothing.
 * @throws ZpsendError UNSUPPORTED when JetStream is off, UNREACHABLE when it does not answer
 */
export async function listLocks(bus: Bus): Promise<HeldLock[]> {
  return (await unlessGone(heldIn(bus), `the bucket ${locksBucket} cannot be read`)) ?? [];
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

const unreadable = (what: string) => (error: unknown) => {
  throw bucketError(error, `${what} cannot be read`);
};

/**
 * The taking was refused, or its answer is unclear: only what is stored now shows whether the lock is ours.
 * @returns our revision, or undefined where the key is free again
 * @throws ZpsendError LOCKED, UNREACHABLE
 */
async function takenAfterAll(
  entries: LockEntries,
  { host, dataset, lock }: { readonly host: string; readonly dataset: string; readonly lock: Lock },
  error: unknown,
): Promise<number | undefined> {
  const key = lockKey(host, dataset);
  const there = await entries.read(key).catch(unreadable(`the lock ${key}`));
  if (!there.free && there.lock?.nonce === lock.nonce) return there.revision;
  if (!there.free) throw lockedBy(host, dataset, there.lock, there.revision);
  if (error instanceof JetStreamApiError && error.code === 10071) return undefined;
  throw bucketError(error, `the lock ${key} cannot be taken`);
}

/**
 * The bucket of locks as it is now, made where there is none: for the first time, or because it was lost.
 * @param look how it is now
 * @param ttl time to live of a lock when it is made now, in milliseconds
 * @throws ZpsendError UNSUPPORTED for a bucket without a time to live
 */
async function ensure(bus: Bus, look: () => Promise<BucketState | undefined>, ttl: number): Promise<BucketState> {
  const before = await look();
  if (!before) await makeBucket(bus, locksBucket, { ttl, description, keepsEntries: true });
  const state = before ?? (await look());
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
export async function openLocks(bus: Bus, seconds: number, clock: Clock = systemClock): Promise<Locks> {
  let kv: KV;
  const serverClock = openServerClock();
  const look = async (): Promise<BucketState | undefined> => {
    const sent = clock.now();
    const state = await stateOf(kv);
    serverClock.note(state?.trace.now, sent, clock.now());
    return state;
  };
  try {
    kv = await openBucket(bus, locksBucket);
    await ensure(bus, look, seconds * 1000);
  } catch (error) {
    throw bucketError(error, `the bucket ${locksBucket} cannot be opened`);
  }

  const own = openOwnWrites();
  const entries = openEntries(bus, own);
  const place: LockPlace = { entries, ttlNow, clock };
  /** Of this process, by key: its own writes do not make it wait, so it has to know its own leases. */
  const held = new Map<string, NewLease>();

  async function ttlNow(): Promise<number | undefined> {
    const state = await look().catch(() => undefined);
    return state && state.ttl > 0 ? state.ttl : undefined;
  }

  async function acquire(host: string, dataset: string, lock: Lock): Promise<Lease> {
    const key = lockKey(host, dataset);
    // looked at each time, since it can be edited, purged and lost
    const { ttl, trace } = await ensure(bus, look, seconds * 1000).catch(unreadable(`the bucket ${locksBucket}`));
    const seen = clock.now();
    const there = await entries.read(key, trace.now).catch(unreadable(`the lock ${key}`));
    if (!there.free) throw lockedBy(host, dataset, there.lock, there.revision);
    if (isKept(key)) throw lockedBy(host, dataset, undefined, undefined);
    const before = own.without(trace);
    const since = clock.now();
    const revision = await entries
      .put(key, lock, there.revision)
      .catch((error) => takenAfterAll(entries, { host, dataset, lock }, error));
    // another holder had it, and has given it back since
    if (revision === undefined) return acquire(host, dataset, lock);
    const lease = keepLease(place, key, lock, { revision, since, ttl });
    held.set(key, lease);
    const { key: found } = there;
    const after = found.kind === 'nothing' ? (await look().catch(() => undefined))?.trace : undefined;
    const unbroken = own.coverBetween(trace.lastRevision, revision);
    const { setForward } = serverClock;
    try {
      await lease.settle(seen + settlingMs({ found, before, after, revision, unbroken, setForward }));
      return lease;
    } catch (error) {
      await lease.release();
      throw error;
    }
  }

  /** Has this process a lease of it that has not found out yet that its lock is gone? */
  function isKept(key: string): boolean {
    for (const [other, lease] of held) if (!lease.isHeld) held.delete(other);
    return held.has(key);
  }

  return { acquire, list: () => heldIn(bus) };
}
