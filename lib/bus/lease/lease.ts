import { setTimeout as sleep } from 'node:timers/promises';
import { JetStreamApiError } from '@nats-io/jetstream';
import type { KV, KvEntry } from '@nats-io/kv';
import { ZpsendError } from '../../../schemas/errors.ts';
import { type Lock, lockSchema } from '../../../schemas/transfer.ts';
import { isGone, stateOf } from '../kv-bucket.ts';
import { deadlineOf, type LeaseEvent, type LeaseState, stepLease, timesFor } from './lease-state.ts';

/** A lock that is held and renews itself. */
export interface Lease {
  /** The lock's revision: the fence. */
  readonly revision: number;
  /** Aborted when the lease could not be kept; whoever works under it must stop at once. */
  readonly lost: AbortSignal;
  /** Gives the lock back; never fails (what cannot be deleted expires). */
  release(): Promise<void>;
}

/** The lock in an entry; undefined when it is free or not readable. */
export function lockIn(entry: KvEntry | null): Lock | undefined {
  return entry?.operation === 'PUT' ? lockOf(entry) : undefined;
}

/** The lock that a value holds; undefined where it is not readable. */
export function lockOf(value: { json(): unknown }): Lock | undefined {
  try {
    return lockSchema.safeParse(value.json()).data;
  } catch {
    return undefined;
  }
}

const tickMs = (ttl: number): number => Math.min(250, Math.max(50, ttl / 60));

const clock = (): number => performance.now();

/** Between two tries to give a lock back while NATS is away, in milliseconds. */
const retryMs = 250;

/** Deletes the lock if it still has our revision; false when nobody answered. */
const isDeleted = (kv: KV, key: string, revision: number): Promise<boolean> =>
  kv.delete(key, { previousSeq: revision }).then(
    () => true,
    (error) => error instanceof JetStreamApiError,
  );

/**
 * Keeps a lock that was just taken; `since` is the clock before the taking was sent, `ttl` the bucket's, in milliseconds, until
 * a renewal finds another one there.
 */
export function keepLease(kv: KV, key: string, lock: Lock, revision: number, since: number, ttl: number): Lease {
  let times = timesFor(ttl);
  const controller = new AbortController();
  const value = JSON.stringify(lock);
  let state: LeaseState = { held: true, revision, since };
  let current = revision;
  let under: Promise<void> = Promise.resolve();

  const renew = async (): Promise<void> => {
    // where it cannot be read, or has no end any more, what was known is the safe side
    const now = await stateOf(kv).catch(() => undefined);
    if (now && now.ttl > 0) times = timesFor(now.ttl);
    try {
      feed({ type: 'renewed', revision: await kv.update(key, value, current, Math.ceil(times.ttl / 3)) });
    } catch {
      feed({ type: 'unclear' });
    }
  };
  const read = async (): Promise<void> => {
    try {
      const entry = await kv.get(key);
      const ours = entry && lockIn(entry)?.nonce === lock.nonce;
      feed(ours ? { type: 'read', found: 'ours', revision: entry.revision } : { type: 'read', found: 'other' });
    } catch (error) {
      feed({ type: 'read', found: isGone(error) ? 'other' : 'unknown' });
    }
  };
  const feed = (event: LeaseEvent): void => {
    const [next, effect] = stepLease(state, event, times);
    state = next;
    if (next.held) current = next.revision;
    if (effect === 'renew') under = renew();
    else if (effect === 'read') under = read();
    else if (effect === 'lost') {
      clearInterval(timer);
      controller.abort(new ZpsendError('LOCKED', `the lock ${key} could not be renewed in time`));
    }
  };
  const timer = setInterval(() => feed({ type: 'tick', now: clock() }), tickMs(ttl));
  timer.unref();

  return {
    get revision() {
      return current;
    },
    lost: controller.signal,
    async release() {
      clearInterval(timer);
      if (!state.held) return;
      const deadline = deadlineOf(state, times);
      // an answer under way would change the revision that the delete must name, and an unclear one asks once more
      const late = sleep(Math.max(0, deadline - clock()), undefined, { ref: false });
      for (let seen: Promise<void> | undefined; seen !== under && clock() < deadline; ) {
        seen = under;
        await Promise.race([seen, late]);
      }
      state = { held: false };
      while (!(await isDeleted(kv, key, current)) && clock() < deadline) await sleep(retryMs);
    },
  };
}
