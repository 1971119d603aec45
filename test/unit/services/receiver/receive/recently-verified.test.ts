import { expect, test } from 'vitest';
import { openRecentlyVerified } from '../../../../../services/receiver/receive/recently-verified.ts';
import { manualClock } from '../../../../support/manual-clock.ts';

test('a verified snapshot is recorded as the newest of its dataset, and of no other', () => {
  const verified = openRecentlyVerified(manualClock());
  verified.add('tank/a', '11');
  expect(verified.isNewest('tank/a', '11')).toBe(true);
  expect(verified.isNewest('tank/a', '10')).toBe(false);
  expect(verified.isNewest('tank/a', undefined)).toBe(false);
  expect(verified.isNewest('tank/ab', '11')).toBe(false);
  verified.add('tank/a', '12');
  expect(verified.isNewest('tank/a', '11')).toBe(false);
});

test('the record lasts until the snapshot is deleted', () => {
  const verified = openRecentlyVerified(manualClock());
  verified.add('tank/a', '11');
  verified.delete('tank/a');
  verified.delete('tank/b');
  expect(verified.isNewest('tank/a', '11')).toBe(false);
});

test('the record lasts for a minute', async () => {
  const clock = manualClock();
  const verified = openRecentlyVerified(clock);
  verified.add('tank/a', '11');
  await clock.advance(60_000);
  expect(verified.isNewest('tank/a', '11')).toBe(true);
  await clock.advance(1);
  expect(verified.isNewest('tank/a', '11')).toBe(false);
});

test('old records are deleted with the next new one', () => {
  let now = 0;
  const verified = openRecentlyVerified({ now: () => now });
  verified.add('tank/a', '11');
  now = 60_001;
  verified.add('tank/b', '1');
  // a clock that went back would show a record that is still there
  now = 0;
  expect(verified.isNewest('tank/a', '11')).toBe(false);
});
