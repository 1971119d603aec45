import { expect, test } from 'vitest';
import { openRateLimit } from '../../../../../../services/sender/transfer/fan-out/pace.ts';

function pace() {
  const clock = { now: 1000 };
  return { clock, pace: openRateLimit(5000, () => clock.now) };
}

test('before its first step a late job is waited for three times as long as the first one took to plan', () => {
  const { clock, pace: planned } = pace();
  clock.now += 4000;
  expect(planned.patienceFor('zones/a')).toBe(12_000);
  clock.now += 4000;
  expect(planned.patienceFor('zones/b')).toBe(12_000);
});

test('where planning was quick a late job is waited for as long as the order says', () => {
  const { clock, pace: planned } = pace();
  clock.now += 10;
  expect(planned.patienceFor('zones/a')).toBe(5000);
});

test('later a late job is waited for as long as the step before took the first job, and only for that dataset', () => {
  const { clock, pace: later } = pace();
  later.began('zones/a');
  clock.now += 700;
  later.ended('zones/a');
  clock.now += 700;
  later.ended('zones/a');
  expect(later.patienceFor('zones/a')).toBe(700);
  expect(later.patienceFor('zones/b')).toBe(5000);
});
