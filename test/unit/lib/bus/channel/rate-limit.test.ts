import { describe, expect, test } from 'vitest';
import { openRateLimit } from '../../../../../lib/bus/channel/rate-limit.ts';
import type { Clock } from '../../../../../lib/time/clock.ts';
import { manualClock } from '../../../../support/manual-clock.ts';

/** A clock that a loop can move without waiting. */
const clockOf = (now: () => number): Clock => ({ ...manualClock(), now });

describe('a rate limit', () => {
  test('that changes counts the elapsed time at the old rate', () => {
    let time = 0;
    const rateLimit = openRateLimit(
      1000,
      clockOf(() => time),
    );
    rateLimit.take(100);
    time += 50;
    rateLimit.setRate(10_000);
    expect(rateLimit.room()).toBe(0);
    time += 50;
    expect(rateLimit.room()).toBe(550);
  });

  test('that is lifted wakes those who wait at once, and one that is set again starts empty', async () => {
    const clock = manualClock();
    const rateLimit = openRateLimit(1000, clock);
    let woken = 0;
    rateLimit.onRoom(() => {
      woken += 1;
    });
    rateLimit.take(10_000);
    await clock.advance(100);
    expect(woken).toBe(0);
    rateLimit.setRate(undefined);
    expect([woken, rateLimit.room(), clock.pending]).toEqual([1, Number.POSITIVE_INFINITY, 0]);
    rateLimit.take(1_000_000);
    rateLimit.setRate(1000);
    expect([rateLimit.room(), clock.pending]).toEqual([0, 1]);
    await clock.advance(100);
    expect(rateLimit.room()).toBe(100);
    rateLimit.setRate(2000);
    expect(clock.pending, 'one timer').toBe(1);
  });

  test('allows a burst of a tenth of a second, and then the bytes of the elapsed time', () => {
    let time = 0;
    const rateLimit = openRateLimit(
      1000,
      clockOf(() => time),
    );
    expect(rateLimit.room()).toBe(100);
    rateLimit.take(100);
    expect(rateLimit.room()).toBe(0);
    time += 50;
    expect(rateLimit.room()).toBe(50);
    time += 60_000;
    expect(rateLimit.room(), 'unused room is not saved up').toBe(100);
  });

  test('waits for bytes that were sent beyond the limit', () => {
    let time = 0;
    const rateLimit = openRateLimit(
      1000,
      clockOf(() => time),
    );
    rateLimit.take(300);
    time += 200;
    expect(rateLimit.room()).toBe(0);
    time += 25;
    expect(rateLimit.room()).toBe(25);
  });

  test.each([
    [1000, 25],
    [10_000_000, 16 * 1024],
  ])('of %i bytes a second allows no tiny pieces, even if it is asked often', (rate, least) => {
    let time = 0;
    const rateLimit = openRateLimit(
      rate,
      clockOf(() => time),
    );
    let passed = 0;
    for (; time < 10_000; time += 0.25) {
      const room = rateLimit.room();
      if (room === 0) continue;
      expect(room).toBeGreaterThanOrEqual(least);
      rateLimit.take(room);
      passed += room;
    }
    expect(passed / (rate * 10)).toBeCloseTo(1, 1);
  });

  test('of a byte a second allows one byte', () => {
    let time = 0;
    const rateLimit = openRateLimit(
      1,
      clockOf(() => time),
    );
    expect(rateLimit.room()).toBe(1);
    rateLimit.take(1);
    time += 999;
    expect(rateLimit.room()).toBe(0);
    time += 1;
    expect(rateLimit.room()).toBe(1);
  });

  test('is shared evenly by users that always have more to send', async () => {
    const clock = manualClock();
    const rateLimit = openRateLimit(100_000, clock);
    const got = [0, 0, 0];
    const ends = got.map((_, taker) =>
      rateLimit.onRoom(() => {
        const bytes = rateLimit.room();
        rateLimit.take(bytes);
        got[taker] = (got[taker] ?? 0) + bytes;
      }),
    );
    await clock.advance(3000);
    expect(got.reduce((sum, bytes) => sum + bytes)).toBeGreaterThan(290_000);
    expect(got.reduce((sum, bytes) => sum + bytes)).toBeLessThanOrEqual(310_000);
    expect(Math.max(...got) / Math.min(...got)).toBeLessThan(1.3);
    for (const end of ends) end();
    expect(clock.pending).toBeLessThanOrEqual(1);
    await clock.advance(100);
    expect(clock.pending, 'without waiting transfers it does not tick').toBe(0);
  });
});
