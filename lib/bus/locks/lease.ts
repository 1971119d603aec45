import { ZpsendError } from '../../../schemas/errors.ts';
import type { Lock } from '../../../schemas/transfer.ts';
import { systemClock } from '../../time/clock.ts';
import { timing } from '../../time/timing.ts';
import { type LockPlace, openRenewals, type Taken } from './renewals.ts';

/** A lock that is held and renews itself. */
export interface Lease {
  /** The lock's revision: the fencing token. */
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

/** A lease that was just taken. Its previous holder may not know yet that it lost the lock. */
export interface NewLease extends Lease {
  /** Neither released nor known to be lost. */
  readonly isHeld: boolean;
  /** Waits until this moment of the monotonic clock, in milliseconds; the lease is renewed meanwhile. @throws ZpsendError LOCKED */
  settle(until: number): Promise<void>;
}

/** Keeps a lock that was just taken. */
export function keepLease(at: LockPlace, key: string, lock: Lock, taken: Taken): NewLease {
  const { entries, ttlNow, clock = systemClock } = at;
  const renewals = openRenewals({ entries, ttlNow, clock }, key, lock, taken);
  const { lost } = renewals;
  let isSettled = false;

  function isHeldNow(): boolean {
    renewals.tick();
    lost.throwIfAborted();
    return renewals.mayAct();
  }
  async function confirmed(): Promise<void> {
    while (!isHeldNow()) {
      if (!renewals.isHeld) throw unconfirmed(key);
      await renewals.changed();
    }
  }

  return {
    get revision() {
      return renewals.revision;
    },
    lost,
    get isHeld() {
      renewals.tick();
      return renewals.isHeld;
    },
    assertHeld() {
      if (!isHeldNow()) throw unconfirmed(key);
    },
    confirmed,
    async settle(until) {
      await clock.sleep(until - clock.now(), lost).catch(() => lost.throwIfAborted());
      isSettled = true;
      await confirmed();
    },
    async release() {
      const deadline = await renewals.end();
      if (deadline === undefined) return;
      const as = isSettled ? 'released' : 'removed';
      while (!(await entries.remove(key, renewals.revision, as)) && clock.now() < deadline)
        await clock.sleep(timing.locks.releaseRetryMs);
    },
  };
}

const unconfirmed = (key: string): ZpsendError =>
  new ZpsendError('LOCKED', `the lock ${key} was not renewed lately enough to go on under it`);
