import { JetStreamApiError } from '@nats-io/jetstream';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { Lock } from '../../../schemas/transfer.ts';
import type { Clock } from '../../time/clock.ts';
import { timing } from '../../time/timing.ts';
import { openChange } from '../change.ts';
import { isGone } from '../jetstream/kv-bucket.ts';
import type { LockEntries } from './entries.ts';
import { deadlineOf, type LeaseEvent, type LeaseState, mayAct, stepLease, timesFor } from './lease-state.ts';

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

/** Renews a lock until it is ended, or lost. */
export interface Renewals {
  /** The lock's newest revision. */
  readonly revision: number;
  /** Neither ended nor known to be lost. */
  readonly isHeld: boolean;
  /** Aborted when the lock could not be renewed in time. */
  readonly lost: AbortSignal;
  /** Compares the clock, which counts before the timer does. */
  tick(): void;
  /** Was it renewed lately enough to act now? */
  mayAct(): boolean;
  /** Resolves at the next answer to a renewal, and at the end. */
  changed(): Promise<void>;
  /** Renews no more, and waits for the answer under way. @returns the lease's deadline; undefined when it is lost already */
  end(): Promise<number | undefined>;
}

const tickMs = (ttl: number): number => Math.min(250, Math.max(50, ttl / 60));

/** The key has another revision than the one that was to be replaced (10071). */
const isStale = (error: unknown): boolean => error instanceof JetStreamApiError && error.code === 10071;

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

/** Renews a lock that was just taken. */
export function openRenewals(
  { entries, ttlNow, clock }: Required<LockPlace>,
  key: string,
  lock: Lock,
  { revision, since, ttl }: Taken,
): Renewals {
  let times = timesFor(ttl);
  const controller = new AbortController();
  let state: LeaseState = { held: true, revision, since };
  let current = revision;
  let pending: Promise<void> = Promise.resolve();
  const { wake, changed } = openChange();
  const learnTtl = async (): Promise<void> => {
    // where it cannot be read, or has no end any more, what was known is the safe side
    times = timesFor((await ttlNow()) ?? times.ttl);
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
  const feed = (event: LeaseEvent): void => {
    const [next, effect] = stepLease(state, event, times);
    state = next;
    if (next.held) current = next.revision;
    if (effect === 'renew') pending = renew();
    else if (effect === 'read') pending = read();
    else if (effect === 'lost') {
      stopTicking();
      controller.abort(new ZpsendError('LOCKED', `the lock ${key} could not be renewed in time`));
    }
    if (event.type !== 'tick' || effect === 'lost') wake();
  };
  const tick = (): void => feed({ type: 'tick', now: clock.now() });
  const stopTicking = clock.every(tickMs(ttl), tick);

  return {
    get revision() {
      return current;
    },
    get isHeld() {
      return state.held;
    },
    lost: controller.signal,
    tick,
    mayAct: () => mayAct(state, times, clock.now()),
    changed,
    async end() {
      stopTicking();
      if (!state.held) return undefined;
      const deadline = deadlineOf(state, times);
      // an answer under way would change the revision that the delete must name, and an unclear one asks once more
      const late = new Promise<void>((resolve) => clock.after(deadline - clock.now(), resolve));
      for (let seen: Promise<void> | undefined; seen !== pending && clock.now() < deadline; ) {
        seen = pending;
        await Promise.race([seen, late]);
      }
      state = { held: false };
      wake();
      return deadline;
    },
  };
}
