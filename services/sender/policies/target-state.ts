import { timing } from '../../../lib/time/timing.ts';

/**
 * The state of one dataset and one target of a policy in a sender. After a trigger there may be something to send; a run determines
 * that. Times are ms of one clock.
 */
export type PolicyTarget =
  /** The target lacks nothing, as far as known; at `due` a run checks that. */
  | { readonly phase: 'resting'; readonly due: number }
  /** There was a trigger, the first one at `since`, and more may follow at once. */
  | { readonly phase: 'settling'; readonly since: number; readonly due: number; readonly tries: number }
  /** Our job runs; `dirty`: its listing may be too old. */
  | { readonly phase: 'running'; readonly dirty: boolean; readonly tries: number }
  /** A job of another sender does the same; without an event of it by `due` it counts as dead. */
  | { readonly phase: 'elsewhere'; readonly dirty: boolean; readonly due: number }
  /** It failed in a way that may pass, `tries` times. */
  | { readonly phase: 'waiting'; readonly due: number; readonly tries: number };

/** `refused`: another try is pointless until something changes. */
export type Outcome = 'done' | 'passing' | 'refused';

export type TargetEvent =
  | { readonly type: 'trigger'; readonly now: number }
  /** The time from one run to the next has changed. */
  | { readonly type: 'interval'; readonly now: number }
  /** The time is `now`, and `due` may be reached. */
  | { readonly type: 'wake'; readonly now: number }
  | { readonly type: 'ended'; readonly now: number; readonly outcome: Outcome }
  | { readonly type: 'other-runs'; readonly now: number }
  | { readonly type: 'other-over'; readonly now: number };

export interface TargetTimes {
  /** A run starts this long after the last trigger. */
  readonly quiet: number;
  /** A run starts at the latest this long after the first trigger. */
  readonly mostQuiet: number;
  /** From one run to the next without a trigger. */
  readonly reconcile: number;
  /** Another sender's job without an event for this long counts as dead. */
  readonly silence: number;
}

/** How long to wait after failure number `tries` (from 1), in ms: each time twice as long. */
export const targetBackOff = (tries: number): number =>
  Math.min(timing.policies.longestRetryMs, timing.policies.firstRetryMs * 2 ** Math.min(tries - 1, 20));

/** A policy target that is new, or whose policy has changed. Its first run is at `due`, or at the next trigger. */
export const fresh = (now: number, due: number): PolicyTarget => ({ phase: 'settling', since: now, due, tries: 0 });

/** When the policy target is due; undefined where it waits for the end of a job. */
export const dueOf = (policyTarget: PolicyTarget): number | undefined =>
  policyTarget.phase === 'running' ? undefined : policyTarget.due;

/** The next state, and whether a run starts now. */
export function next(
  policyTarget: PolicyTarget,
  event: TargetEvent,
  times: TargetTimes,
): { readonly policyTarget: PolicyTarget; readonly start: boolean } {
  if (event.type === 'wake') {
    const due = dueOf(policyTarget);
    if (due === undefined || due > event.now) return { policyTarget, start: false };
    return { policyTarget: { phase: 'running', dirty: false, tries: triesOf(policyTarget) }, start: true };
  }
  return { policyTarget: after(policyTarget, event, times), start: false };
}

const triesOf = (policyTarget: PolicyTarget): number => ('tries' in policyTarget ? policyTarget.tries : 0);

function after(
  policyTarget: PolicyTarget,
  event: Exclude<TargetEvent, { type: 'wake' }>,
  times: TargetTimes,
): PolicyTarget {
  switch (event.type) {
    case 'trigger':
      return triggered(policyTarget, event.now, times);
    case 'interval':
      if (policyTarget.phase !== 'resting') return policyTarget;
      return { phase: 'resting', due: Math.min(policyTarget.due, event.now + times.reconcile) };
    case 'ended':
      return policyTarget.phase === 'running' ? ended(policyTarget, event, times) : policyTarget;
    case 'other-runs': {
      if (policyTarget.phase === 'running') return policyTarget;
      // it may have listed before our trigger, or failed before, so it may not have sent everything
      const dirty = policyTarget.phase === 'elsewhere' ? policyTarget.dirty : policyTarget.phase !== 'resting';
      return { phase: 'elsewhere', dirty, due: event.now + times.silence };
    }
    case 'other-over':
      if (policyTarget.phase !== 'elsewhere') return policyTarget;
      return policyTarget.dirty ? settle(event.now, 0, times) : { phase: 'resting', due: event.now + times.reconcile };
  }
}

const settle = (now: number, tries: number, times: TargetTimes): PolicyTarget => ({
  phase: 'settling',
  since: now,
  due: now + times.quiet,
  tries,
});

function triggered(policyTarget: PolicyTarget, now: number, times: TargetTimes): PolicyTarget {
  if (policyTarget.phase === 'running' || policyTarget.phase === 'elsewhere') return { ...policyTarget, dirty: true };
  if (policyTarget.phase !== 'settling') return settle(now, triesOf(policyTarget), times);
  return { ...policyTarget, due: Math.min(now + times.quiet, policyTarget.since + times.mostQuiet) };
}

function ended(
  { dirty, tries }: Extract<PolicyTarget, { phase: 'running' }>,
  { now, outcome }: Extract<TargetEvent, { type: 'ended' }>,
  times: TargetTimes,
): PolicyTarget {
  if (outcome === 'passing') return { phase: 'waiting', tries: tries + 1, due: now + targetBackOff(tries + 1) };
  return dirty ? settle(now, 0, times) : { phase: 'resting', due: now + times.reconcile };
}
