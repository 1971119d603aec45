/**
 * What a sender does about one dataset and one target of a policy. A trigger says that there may be something to send; a run finds
 * out. Times are milliseconds of one clock.
 */
export type PolicyTarget =
  /** Nothing is known to be missing; at `due` it is looked whether that is so. */
  | { readonly phase: 'resting'; readonly due: number }
  /** There was a trigger, the first of them at `since`, and more may come at once. */
  | { readonly phase: 'settling'; readonly since: number; readonly due: number; readonly tries: number }
  /** Our job runs; `dirty`: what it has listed may be too old. */
  | { readonly phase: 'running'; readonly dirty: boolean; readonly tries: number }
  /** A job that we did not start does the same; without news of it by `due` it is dead. */
  | { readonly phase: 'elsewhere'; readonly dirty: boolean; readonly due: number }
  /** It failed in a way that may pass, `tries` times. */
  | { readonly phase: 'waiting'; readonly due: number; readonly tries: number };

/** `refused`: trying again cannot help before something changes. */
export type Outcome = 'done' | 'passing' | 'refused';

export type TargetEvent =
  | { readonly type: 'trigger'; readonly now: number }
  /** The time is `now`, and may be what the policy target waits for. */
  | { readonly type: 'wake'; readonly now: number }
  | { readonly type: 'ended'; readonly now: number; readonly outcome: Outcome }
  | { readonly type: 'other-runs'; readonly now: number }
  | { readonly type: 'other-over'; readonly now: number };

export interface TargetTimes {
  /** Without a further trigger for so long, it begins. */
  readonly quiet: number;
  /** Since the first trigger; later than that it begins whatever comes. */
  readonly mostQuiet: number;
  /** From one run to the next without a trigger. */
  readonly reconcile: number;
  /** Somebody else's job that was not heard of for so long is dead. */
  readonly silence: number;
}

/** Between failures, in milliseconds: 1 s, and twice as long each time, up to 5 minutes. */
export const targetBackOff = (tries: number): number => Math.min(300_000, 1000 * 2 ** Math.min(tries - 1, 20));

/** A policy target that is new, or whose policy has changed. It begins at `due`, or at the next trigger. */
export const fresh = (now: number, due: number): PolicyTarget => ({ phase: 'settling', since: now, due, tries: 0 });

/** When the policy target waits for the clock; undefined where it waits for something else. */
export const dueOf = (policyTarget: PolicyTarget): number | undefined =>
  policyTarget.phase === 'running' ? undefined : policyTarget.due;

/** What follows, and whether a run of it is to begin now. */
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
    case 'ended':
      return policyTarget.phase === 'running' ? ended(policyTarget, event, times) : policyTarget;
    case 'other-runs': {
      if (policyTarget.phase === 'running') return policyTarget;
      // it may have listed too early for what was heard, or failed, before it was seen to run
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
