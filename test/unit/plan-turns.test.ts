import { expect, test } from 'vitest';
import { openPlanTurns } from '../../services/sender/plan-turns.ts';

/** Work that lasts until it is ended, and how much of it has begun. */
function openWork() {
  const begun: { end: (outcome: 'done' | 'failed') => void }[] = [];
  const work = () =>
    new Promise<string>((resolve, reject) => {
      begun.push({ end: (outcome) => (outcome === 'done' ? resolve(outcome) : reject(new Error(outcome))) });
    });
  return { begun, work };
}

test('plans for one target take turns, a few at once, and one that fails makes room too', async () => {
  const [turns, { begun, work }] = [openPlanTurns(), openWork()];
  const plans = Array.from({ length: 10 }, () => turns('smos-00', work));
  const outcomes = Promise.allSettled(plans);
  await expect.poll(() => begun.length).toBe(4);
  await Promise.resolve();
  expect(begun.length).toBe(4);
  begun[0]?.end('failed');
  begun[1]?.end('done');
  await expect.poll(() => begun.length).toBe(6);
  for (let ended = 2; ended < 10; ended += 1) {
    await expect.poll(() => begun.length).toBeGreaterThan(ended);
    begun[ended]?.end('done');
  }
  expect((await outcomes).map(({ status }) => status)).toEqual([
    'rejected',
    ...Array.from({ length: 9 }, () => 'fulfilled'),
  ]);
});

test('plans for a target that does not answer keep those for another one from nothing', async () => {
  const [turns, hung, work] = [openPlanTurns(), openWork(), openWork()];
  for (let n = 0; n < 9; n += 1) void turns('smos-00', hung.work);
  const other = turns('smos-02', work.work);
  await expect.poll(() => work.begun.length).toBe(1);
  work.begun[0]?.end('done');
  expect(await other).toBe('done');
  expect(hung.begun.length).toBe(4);
});
