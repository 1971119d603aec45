import { describe, expect, test } from 'vitest';
import type { z } from 'zod';
import { policySchema } from '../../../../../schemas/policy.ts';
import { type Policy, policyOf } from '../../../../../services/sender/policies/policy.ts';
import type { TargetTimes } from '../../../../../services/sender/policies/target-state.ts';
import { openPolicyTargets } from '../../../../../services/sender/policies/targets.ts';

type PolicyConfig = z.input<typeof policySchema>;
const times: TargetTimes = { quiet: 30, mostQuiet: 1000, reconcile: 600_000, silence: 3000 };
const policy = (dataset: string, to: PolicyConfig['to'], more: Partial<PolicyConfig> = {}): Policy =>
  policyOf('src', dataset, policySchema.parse({ dataset, to, ...more }));
const keys = (policyTargets: readonly { key: string }[]): string[] => policyTargets.map(({ key }) => key);
const [toB, toC] = ['t/a to b:t/a', 't/a to c:t/a'];

/** PolicyTargets of one policy with two targets, whose first listing is over. */
function rested(more: Partial<PolicyConfig> = {}) {
  const policyTargets = openPolicyTargets(times);
  policyTargets.use([policy('t/a', ['b', 'c'], more)], 0);
  expect(keys(policyTargets.wake(5000))).toEqual([toB, toC]);
  for (const key of [toB, toC]) policyTargets.feed(key, { type: 'ended', outcome: 'done', now: 5000 });
  return policyTargets;
}

describe('policy targets', () => {
  test('of one policy with the same trigger start together, and then acknowledge it', () => {
    const policyTargets = rested();
    let taken = 0;
    const take = () => {
      taken += 1;
    };
    policyTargets.trigger('t/a@1', 6000, take);
    policyTargets.trigger('t/a@2', 6010, take);
    expect([policyTargets.due, taken]).toEqual([6040, 0]);
    expect(keys(policyTargets.wake(6039))).toEqual([]);
    expect(keys(policyTargets.wake(6040))).toEqual([toB, toC]);
    expect([policyTargets.due, taken]).toEqual([undefined, 2]);
  });

  test('that run acknowledge a trigger at once, and run once more', () => {
    const policyTargets = rested();
    policyTargets.trigger('t/a@1', 6000, () => {});
    policyTargets.wake(6030);
    let taken = false;
    policyTargets.trigger('t/a@2', 6031, () => {
      taken = true;
    });
    expect(taken).toBe(true);
    policyTargets.feed(toB, { type: 'ended', outcome: 'done', now: 7000 });
    expect(keys(policyTargets.wake(7030))).toEqual([toB]);
  });

  test('acknowledge an unrelated trigger at once, and do not run', () => {
    const policyTargets = rested({ recursive: true, exclude: ['tmp'] });
    for (const name of ['t/b@1', 't/ab@1', 't@1', 't/a/tmp@1']) {
      let taken = false;
      policyTargets.trigger(name, 6000, () => {
        taken = true;
      });
      expect(taken).toBe(true);
    }
    expect(policyTargets.due).toBe(5000 + times.reconcile);
  });

  test('of an unchanged policy keep their state when it is read again, and those of a changed one run again', () => {
    const policyTargets = rested();
    policyTargets.use([policy('t/a', ['b', 'c'])], 6000);
    expect(policyTargets.due).toBe(5000 + times.reconcile);
    policyTargets.use([policy('t/a', ['b', 'c'], { compression: 'zstd' })], 7000);
    const [policyTarget] = policyTargets.wake(7030);
    expect(policyTarget?.policy.request.compression).toBe('zstd');
  });

  test('of a removed policy end, and acknowledge their triggers', () => {
    const policyTargets = rested();
    let taken = false;
    policyTargets.trigger('t/a@1', 6000, () => {
      taken = true;
    });
    policyTargets.use([policy('t/a', ['b'])], 6010);
    expect([keys(policyTargets.wake(6040)), taken]).toEqual([[toB], true]);
    policyTargets.use([], 6050);
    expect([policyTargets.due, keys(policyTargets.wake(1e9))]).toEqual([undefined, []]);
  });

  test('that another sender runs are left to it, and taken over when it is silent', () => {
    const policyTargets = rested();
    policyTargets.feed(toB, { type: 'other-runs', now: 6000 });
    policyTargets.trigger('t/a@1', 6001, () => {});
    expect(keys(policyTargets.wake(6031))).toEqual([toC]);
    expect(keys(policyTargets.wake(9000))).toEqual([toB]);
  });
});
