import { JetStreamApiError } from '@nats-io/jetstream';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { Lock } from '../../../schemas/transfer.ts';
import { type Clock, systemClock } from '../../time/clock.ts';
import { timing } from '../../time/timing.ts';
import { isGone } from '../jetstream/kv-bucket.ts';
import type { LockEntries } from './entries.ts';
import { deadlineOf, type LeaseEvent, type LeaseState, mayAct, stepLease, timesFor } from './lease-state.ts';

/** A lock that is held and renews itself. */
export interface Lease {
  /** The lock's revision: the fence. */
  readonly revision: number;
  /** Aborted when the lease could not be kept: what runs under it must stop at once. */
  readonly lost: AbortSignal;
  /**
   * Asked right before each act under the lease, since it compares the clock: after a stop of this process other events come before the
   * timer that aborts `lost`.
   * @throws ZpsendError LOCKED when the lease is lost, or was not renewed lately enough to act
   */
  assertHeld(): void;
  /** Resolves once `assertHeld` passes. @throws ZpsendError LOCKED when the lease is lost */
  confirmed(): Promise<void>;
  /** Gives the lock back; never fails (what cannot be deleted expires). */
  release(): Promise<void>;
}

const tickMs = (ttl: number): number => Math.min(250, Math.max(50, ttl / 60));

/** The key has another revision than the one that was to be replaced (10071). */
const isStale = (error: unknown): boolean => error instanceof JetStreamApiError && error.code === 10071;

export interface Taken {
  readonly revision: number;
  /** The monotonic clock before the taking was sent, in milliseconds. */
  readonly since: number;
  /** The bucket's time to live, in milliseconds, until a renewal finds another one there. */
  readonly ttl: number;
}

/** Where a lock lies. */
export interface LockPlace {
  readonly entries: LockEntries;
  /** The bucket's time to live as it is now, in milliseconds; undefined where it cannot be read, or has no end. */
  ttlNow(): Promise<number | undefined>;
  readonly clock?: Clock;
}

/** A lease whose last holder may not have found out yet. */
export interface NewLease extends Lease {
  /** Neither released nor known to be lost. */
  readonly isHeld: boolean;
  /** Waits until this moment of the monotonic clock, in milliseconds; the lease is renewed meanwhile. @throws ZpsendError LOCKED */
  settle(until: number): Promise<void>;
}

/** Is the lock still ours, as the bucket has it? */
async function whoHolds(entries: LockEntries, key: string, lock: Lock): Promise<LeaseEvent> {
  try {
    const there = await entries.read(key);
    const isOurs = !there.free && there.lock?.nonce === lock.nonce;
    return isOurs ? { type: 'read', found: 'ours', revision: there.revision } : { type: 'read', found: 'other' };
  } catch (error) {
    return { type: 'read', found: isGone(error) ? 'other' : 'unknown' };
  }
}

/** Keeps a lock that was just taken. */
export function keepLease(at: LockPlace, key: string, lock: Lock, { revision, since, ttl }: Taken): NewLease {
  const { entries, ttlNow, clock = systemClock } = at;
  let times = timesFor(ttl);
  const controller = new AbortController();
  let state: LeaseState = { held: true, revision, since };
  let current = revision;
  let isSettled = false;
  let under: Promise<void> = Promise.resolve();
  /** Those that wait for a renewal. */
  let waiting = Promise.withResolvers<void>();

  const learnTtl = async (): Promise<void> => {
    // where it cannot be read, or has no end any more, what was known is the safe side
    const now = await ttlNow();
    if (now !== undefined) times = timesFor(now);
  };
  const renew = async (): Promise<void> => {
    // beside the renewal: another host that finds the key expired by a shorter time to live waits long enough (vacancy.ts)
    const learnt = learnTtl();
    try {
      const ms = Math.min(timing.locks.renewalMs, Math.ceil(times.ttl / 3));
      feed({ type: 'renewed', revision: await entries.put(key, lock, current, ms) });
    } catch (error) {
      feed({ type: isStale(error) ? 'refused' : 'unclear' });
    }
    await learnt;
  };
  const read = async (): Promise<void> => feed(await whoHolds(entries, key, lock));
  const wake = (): void => {
    waiting.resolve();
    waiting = Promise.withResolvers();
  };
  const feed = (event: LeaseEvent): void => {
    const [next, effect] = stepLease(state, event, times);
    state = next;
    if (next.held) current = next.revision;
    if (effect === 'renew') under = renew();
    else if (effect === 'read') under = read();
    else if (effect === 'lost') {
      stopTicking();
      controller.abort(new ZpsendError('LOCKED', `the lock ${key} could not be renewed in time`));
    }
    if (event.type !== 'tick' || effect === 'lost') wake();
  };
  const tick = (): void => feed({ type: 'tick', now: clock.now() });
  const stopTicking = clock.every(tickMs(ttl), tick);

  /** A tick first: the clock counts before the timer does. */
  function isHeldNow(): boolean {
    tick();
    controller.signal.throwIfAborted();
    return mayAct(state, times, clock.now());
  }
  async function confirmed(): Promise<void> {
    while (!isHeldNow()) {
      if (!state.held) throw unconfirmed(key);
      await waiting.promise;
    }
  }

  return {
    get revision() {
      return current;
    },
    lost: controller.signal,
    get isHeld() {
      tick();
      return state.held;
    },
    assertHeld() {
      if (!isHeldNow()) throw unconfirmed(key);
    },
    confirmed,
    async settle(until) {
      const { signal } = controller;
      await clock.sleep(until - clock.now(), signal).catch(() => signal.throwIfAborted());
      isSettled = true;
      await confirmed();
    },
    async release() {
      stopTicking();
      if (!state.held) return;
      const deadline = deadlineOf(state, times);
      // an answer under way would change the revision that the delete must name, and an unclear one asks once more
      const late = new Promise<void>((resolve) => clock.after(deadline - clock.now(), resolve));
      for (let seen: Promise<void> | undefined; seen !== under && clock.now() < deadline; ) {
        seen = under;
        await Promise.race([seen, late]);
      }
      state = { held: false };
      wake();
      const as = isSettled ? 'released' : 'removed';
      while (!(await entries.remove(key, current, as)) && clock.now() < deadline)
        await clock.sleep(timing.locks.releaseRetryMs);
    },
  };
}

const unconfirmed = (key: string): ZpsendError =>
  new ZpsendError('LOCKED', `the lock ${key} was not renewed lately enough to go on under it`);
