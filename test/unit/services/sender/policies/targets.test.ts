import { describe, expect, test } from 'vitest';
import type { z } from 'zod';
import { policySchema } from '../../../../../schemas/policy.ts';
import { type Policy, policyOf } from '../../../../../services/sender/policies/policy.ts';
import type { LaneTimes } from '../../../../../services/sender/policies/target-state.ts';
import { openLanes } from '../../../../../services/sender/policies/targets.ts';

type PolicyConfig = z.input<typeof policySchema>;
const times: LaneTimes = { quiet: 30, mostQuiet: 1000, reconcile: 600_000, silence: 3000 };
const policy = (dataset: string, to: PolicyConfig['to'], more: Partial<PolicyConfig> = {}): Policy =>
  policyOf('src', dataset, policySchema.parse({ dataset, to, ...more }));
const keys = (lanes: readonly { key: string }[]): string[] => lanes.map(({ key }) => key);
const [toB, toC] = ['t/a to b:t/a', 't/a to c:t/a'];

/** Lanes of one policy with two targets, whose first look is over. */
function rested(more: Partial<PolicyConfig> = {}) {
  const lanes = openLanes(times);
  lanes.use([policy('t/a', ['b', 'c'], more)], 0);
  expect(keys(lanes.wake(5000))).toEqual([toB, toC]);
  for (const key of [toB, toC]) lanes.feed(key, { type: 'ended', outcome: 'done', now: 5000 });
  return lanes;
}

describe('lanes', () => {
  test('of one policy that hear the same hint begin together, and then it is taken', () => {
    const lanes = rested();
    let taken = 0;
    const take = () => {
      taken += 1;
    };
    lanes.hint('t/a@1', 6000, take);
    lanes.hint('t/a@2', 6010, take);
    expect([lanes.due, taken]).toEqual([6040, 0]);
    expect(keys(lanes.wake(6039))).toEqual([]);
    expect(keys(lanes.wake(6040))).toEqual([toB, toC]);
    expect([lanes.due, taken]).toEqual([undefined, 2]);
  });

  test('that run take a hint at once, and run once more', () => {
    const lanes = rested();
    lanes.hint('t/a@1', 6000, () => {});
    lanes.wake(6030);
    let taken = false;
    lanes.hint('t/a@2', 6031, () => {
      taken = true;
    });
    expect(taken).toBe(true);
    lanes.feed(toB, { type: 'ended', outcome: 'done', now: 7000 });
    expect(keys(lanes.wake(7030))).toEqual([toB]);
  });

  test('take what is about nothing of theirs at once, and do nothing', () => {
    const lanes = rested({ recursive: true, exclude: ['tmp'] });
    for (const name of ['t/b@1', 't/ab@1', 't@1', 't/a/tmp@1']) {
      let taken = false;
      lanes.hint(name, 6000, () => {
        taken = true;
      });
      expect(taken).toBe(true);
    }
    expect(lanes.due).toBe(5000 + times.reconcile);
  });

  test('of a policy that is read again unchanged go on as they are, and one that has changed is looked at anew', () => {
    const lanes = rested();
    lanes.use([policy('t/a', ['b', 'c'])], 6000);
    expect(lanes.due).toBe(5000 + times.reconcile);
    lanes.use([policy('t/a', ['b', 'c'], { wire: 'zstd' })], 7000);
    const [lane] = lanes.wake(7030);
    expect(lane?.policy.request.wire).toBe('zstd');
  });

  test('of a policy that is gone end, and what they had heard is taken', () => {
    const lanes = rested();
    let taken = false;
    lanes.hint('t/a@1', 6000, () => {
      taken = true;
    });
    lanes.use([policy('t/a', ['b'])], 6010);
    expect([keys(lanes.wake(6040)), taken]).toEqual([[toB], true]);
    lanes.use([], 6050);
    expect([lanes.due, keys(lanes.wake(1e9))]).toEqual([undefined, []]);
  });

  test('that others run are left to them, and taken over when they fall silent', () => {
    const lanes = rested();
    lanes.feed(toB, { type: 'other-runs', now: 6000 });
    lanes.hint('t/a@1', 6001, () => {});
    expect(keys(lanes.wake(6031))).toEqual([toC]);
    expect(keys(lanes.wake(9000))).toEqual([toB]);
  });
});
