import { describe, expect, test } from 'vitest';
import type { LockEntries } from '../../../../../lib/bus/locks/entries.ts';
import { nothingFound } from '../../../../../lib/bus/locks/found.ts';
import { keepLease } from '../../../../../lib/bus/locks/lease.ts';
import { timing } from '../../../../../lib/time/timing.ts';
import { ZpsendError } from '../../../../../schemas/errors.ts';
import { manualClock } from '../../../../support/manual-clock.ts';

const lock = { owner: 'i1', source: 'src', transferHash: 'abc', nonce: 'n1' };
const { renewsWithinMs, actsWithinMs } = timing.locks;

/** A lease in a bucket whose answers the test gives; `isAway` while no server answers. */
function held(ttl = 30_000) {
  const clock = manualClock();
  const bucket = { revision: 7, writes: 0, isAway: false, removed: [] as string[] };
  const answer = <T>(value: () => T): Promise<T> =>
    bucket.isAway ? Promise.reject(new ZpsendError('TIMEOUT', 'away')) : Promise.resolve(value());
  const entries: LockEntries = {
    put: () =>
      answer(() => {
        bucket.writes += 1;
        bucket.revision += 1;
        return bucket.revision;
      }),
    remove: async (_key, _revision, as) => {
      if (bucket.isAway) return false;
      bucket.removed.push(as);
      return true;
    },
    read: () => answer(() => ({ ...nothingFound, free: false as const, lock, revision: bucket.revision })),
  };
  const place = { entries, ttlNow: async () => ttl, clock };
  return { clock, bucket, lease: keepLease(place, 'host/tank', lock, { revision: 7, since: clock.now(), ttl }) };
}

describe('a lease', () => {
  test('is renewed in time, and its holder may always act', async () => {
    const { clock, bucket, lease } = held();
    for (let second = 0; second < 60; second += 1) {
      await clock.advance(1000);
      lease.assertHeld();
    }
    expect(bucket.writes).toBeGreaterThanOrEqual(Math.floor(60_000 / (renewsWithinMs + 500)));
    expect(lease.revision).toBe(bucket.revision);
  });

  test('that cannot be renewed stops its holder at once, and is lost before its time to live ends', async () => {
    const { clock, bucket, lease } = held(10_000);
    bucket.isAway = true;
    await clock.advance(actsWithinMs + 1);
    expect(() => lease.assertHeld()).toThrow(expect.objectContaining({ code: 'LOCKED' }));
    expect(lease.lost.aborted).toBe(false);
    await clock.advance(10_000 - actsWithinMs - 1);
    expect(lease.lost.aborted).toBe(true);
    await expect(lease.confirmed()).rejects.toMatchObject({ code: 'LOCKED' });
  });

  test('that could not be renewed for a while is confirmed by the next renewal', async () => {
    const { clock, bucket, lease } = held();
    bucket.isAway = true;
    await clock.advance(actsWithinMs + 1);
    const confirmed = lease.confirmed();
    bucket.isAway = false;
    await clock.advance(actsWithinMs);
    await confirmed;
    lease.assertHeld();
  });

  test('is removed once NATS answers again, and keeps no timer', async () => {
    const { clock, bucket, lease } = held();
    await Promise.all([lease.settle(clock.now() + 10), clock.advance(10)]);
    bucket.isAway = true;
    const released = lease.release();
    await clock.advance(timing.locks.releaseRetryMs * 3);
    bucket.isAway = false;
    await clock.advance(timing.locks.releaseRetryMs);
    await released;
    expect(bucket.removed).toEqual(['released']);
    await clock.advance(60_000);
    expect(clock.pending).toBe(0);
  });
});
