import { describe, expect, test } from 'vitest';
import { openTakingWatch, type Taking } from '../../lib/bus/direct/taking.ts';

const patienceMs = 10_000;
const stuck: Taking = { granted: 20_000, waits: true, ended: false };

/** Looks every 250 ms, and tells after how many milliseconds the receiver is given up; undefined within 1,000 s. */
function givenUp(at: (now: number) => Taking): number | undefined {
  const watch = openTakingWatch({ patienceMs, leastRate: 256 });
  for (let now = 0; now <= 1_000_000; now += 250) if (watch.look(at(now), now)) return now;
  return undefined;
}

describe('a receiver', () => {
  test('that takes nothing while bytes wait is given up after the patience', () =>
    expect(givenUp(() => stuck)).toBe(patienceMs));

  test('for which nothing waits is waited for', () =>
    expect(givenUp(() => ({ ...stuck, waits: false }))).toBeUndefined());

  test.each([
    [255, patienceMs],
    [257, undefined],
  ])('that takes %i bytes a second', (rate, at) =>
    expect(givenUp((now) => ({ ...stuck, granted: 20_000 + Math.floor((now / 1000) * rate) }))).toBe(at),
  );

  test('has the patience again after each time that something was taken', () =>
    expect(givenUp((now) => ({ ...stuck, granted: now < 8000 ? 0 : 1_000_000 }))).toBe(8000 + patienceMs));

  test('has it again after a while in which nothing waited', () =>
    expect(givenUp((now) => ({ ...stuck, waits: now >= 30_000 }))).toBe(29_750 + patienceMs));

  test('may be ten times as long about the end', () =>
    expect(givenUp(() => ({ ...stuck, waits: false, ended: true }))).toBe(10 * patienceMs));

  test('is not given up for the time in which this process was stopped', () => {
    const watch = openTakingWatch({ patienceMs, leastRate: 256 });
    expect(watch.look(stuck, 0)).toBe(false);
    expect(watch.look(stuck, 3_600_000)).toBe(false);
    expect(watch.look({ ...stuck, granted: 1_000_000 }, 3_600_250)).toBe(false);
    expect(watch.look(stuck, 3_600_500)).toBe(false);
  });
});
