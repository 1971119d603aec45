import { describe, expect, test } from 'vitest';
import {
  openProgressWatch,
  type ReceiverProgress,
} from '../../../../../../lib/bus/channel/direct/receiver-progress.ts';

const patienceMs = 10_000;
const stuck: ReceiverProgress = { granted: 20_000, taken: 10_000, waits: true, ended: false };
/** A receiver that has granted a window, while its target is rolled back, renamed or created. */
const preparing: ReceiverProgress = { ...stuck, taken: 0 };

/** Checks every 250 ms. @returns after how many milliseconds the receiver is given up; undefined if not within 1,000 s */
function givenUp(at: (now: number) => ReceiverProgress): number | undefined {
  const watch = openProgressWatch({ patienceMs, leastRate: 256 });
  for (let now = 0; now <= 1_000_000; now += 250) if (watch.look(at(now), now) !== undefined) return now;
  return undefined;
}

describe('a receiver', () => {
  test('that reads nothing while bytes wait is given up after the patience', () =>
    expect(givenUp(() => stuck)).toBe(patienceMs));

  test('for which no bytes wait is not given up', () =>
    expect(givenUp(() => ({ ...stuck, waits: false }))).toBeUndefined());

  test.each([
    [255, patienceMs],
    [257, undefined],
  ])('that reads %i bytes a second', (rate, at) =>
    expect(givenUp((now) => ({ ...stuck, granted: 20_000 + Math.floor((now / 1000) * rate) }))).toBe(at),
  );

  test('has the whole patience again after each read', () =>
    expect(givenUp((now) => ({ ...stuck, granted: now < 8000 ? 0 : 1_000_000 }))).toBe(8000 + patienceMs));

  test('has the whole patience again after a time without waiting bytes', () =>
    expect(givenUp((now) => ({ ...stuck, waits: now >= 30_000 }))).toBe(29_750 + patienceMs));

  test('has ten times the patience for the end', () =>
    expect(givenUp(() => ({ ...stuck, waits: false, ended: true }))).toBe(10 * patienceMs));

  test('has ten times the patience before its first read', () =>
    expect(givenUp(() => preparing)).toBe(10 * patienceMs));

  test('has the patience from its first read on', () =>
    expect(givenUp((now) => (now < 70_000 ? preparing : { ...stuck, taken: 1 }))).toBe(70_000 + patienceMs));

  test.each([
    [255, 10 * patienceMs],
    [257, undefined],
  ])('that reads nothing and grants %i bytes a second', (rate, at) =>
    expect(givenUp((now) => ({ ...preparing, granted: Math.floor((now / 1000) * rate) }))).toBe(at),
  );

  test.each([
    ['while it takes', stuck, patienceMs],
    ['before it takes anything', preparing, 10 * patienceMs],
  ])('is given up %s, and the error has the time', (_when, taking, waited) => {
    const watch = openProgressWatch({ patienceMs, leastRate: 256 });
    for (let now = 0; now < waited; now += 250) expect(watch.look(taking, now)).toBeUndefined();
    expect(watch.look(taking, waited)).toBe(waited);
  });

  test('is not given up for time in which this process was stopped', () => {
    const watch = openProgressWatch({ patienceMs, leastRate: 256 });
    expect(watch.look(stuck, 0)).toBeUndefined();
    expect(watch.look(stuck, 3_600_000)).toBeUndefined();
    expect(watch.look({ ...stuck, granted: 1_000_000 }, 3_600_250)).toBeUndefined();
    expect(watch.look(stuck, 3_600_500)).toBeUndefined();
  });
});
