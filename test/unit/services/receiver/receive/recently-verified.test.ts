import { expect, test } from 'vitest';
import { openArrivals } from '../../../../../services/receiver/receive/recently-verified.ts';

test('what has just arrived is known as the newest of its dataset, and of no other', () => {
  const arrivals = openArrivals(() => 0);
  arrivals.note('tank/a', '11');
  expect(arrivals.isNewest('tank/a', '11')).toBe(true);
  expect(arrivals.isNewest('tank/a', '10')).toBe(false);
  expect(arrivals.isNewest('tank/a', undefined)).toBe(false);
  expect(arrivals.isNewest('tank/ab', '11')).toBe(false);
  arrivals.note('tank/a', '12');
  expect(arrivals.isNewest('tank/a', '11')).toBe(false);
});

test('it is known until it is forgotten', () => {
  const arrivals = openArrivals(() => 0);
  arrivals.note('tank/a', '11');
  arrivals.forget('tank/a');
  arrivals.forget('tank/b');
  expect(arrivals.isNewest('tank/a', '11')).toBe(false);
});

test('it speaks for the target for a minute', () => {
  let now = 5;
  const arrivals = openArrivals(() => now);
  arrivals.note('tank/a', '11');
  now = 60_005;
  expect(arrivals.isNewest('tank/a', '11')).toBe(true);
  now = 60_006;
  expect(arrivals.isNewest('tank/a', '11')).toBe(false);
  arrivals.note('tank/b', '1');
  now = 0;
  expect(arrivals.isNewest('tank/a', '11'), 'an old arrival is dropped when a new one is noted').toBe(false);
});
