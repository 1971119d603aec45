import { expect, test } from 'vitest';
import { openStepTimes } from '../../../../../../services/sender/transfer/fan-out/step-times.ts';
import { manualClock } from '../../../../../support/manual-clock.ts';

function opened() {
  const clock = manualClock();
  return { clock, times: openStepTimes(5000, clock) };
}

test('before its first step a late job is awaited three times as long as the first job’s planning took', async () => {
  const { clock, times } = opened();
  await clock.advance(4000);
  expect(times.gatherMsFor('zones/a')).toBe(12_000);
  await clock.advance(4000);
  expect(times.gatherMsFor('zones/b')).toBe(12_000);
});

test('after a quick planning a late job is awaited as long as the request says', async () => {
  const { clock, times } = opened();
  await clock.advance(10);
  expect(times.gatherMsFor('zones/a')).toBe(5000);
});

test('later a late job is awaited as long as the previous step took the first job, for that dataset only', async () => {
  const { clock, times } = opened();
  times.began('zones/a');
  await clock.advance(700);
  times.ended('zones/a');
  await clock.advance(700);
  times.ended('zones/a');
  expect(times.gatherMsFor('zones/a')).toBe(700);
  expect(times.gatherMsFor('zones/b')).toBe(5000);
});
