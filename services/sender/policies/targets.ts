import type { JobContext } from '../../../lib/plan/request/job-context.ts';
import { timing } from '../../../lib/time/timing.ts';
import type { ErrorBody } from '../../../schemas/errors.ts';
import { isAbout, type Policy, targetKey } from './policy.ts';
import { dueOf, fresh, next, type PolicyTarget, type TargetEvent, type TargetTimes } from './target-state.ts';

/** One policy target, with its state. */
export interface OpenTarget {
  readonly key: string;
  policy: Policy;
  context: JobContext;
  state: PolicyTarget;
  /** The error of the last run. */
  error?: ErrorBody | undefined;
  /** Acknowledges the events for which no run has started yet. */
  readonly unacknowledged: (() => void)[];
}

/** The policy targets of all active policies. Deterministic: the caller has the clock and the runs. */
export interface PolicyTargets {
  readonly all: ReadonlyMap<string, OpenTarget>;
  /** Known policy targets keep their state, unless the policy has changed; others end, and new ones begin. */
  use(policies: readonly Policy[], now: number): void;
  /** A snapshot that may have to be sent. @param acknowledge called when a run for it has started, or none is needed */
  trigger(snapshot: string, now: number, acknowledge: () => void): void;
  triggerAll(now: number): void;
  /** The reconcile interval has changed: policy targets that rest do so no longer than that from now on. */
  reconcileSooner(now: number): void;
  feed(key: string, event: Exclude<TargetEvent, { type: 'wake' }>): void;
  /** The policy targets that run from now on. */
  wake(now: number): OpenTarget[];
  /** When the next one is due; undefined if none is. */
  readonly due: number | undefined;
}

export function openPolicyTargets(times: TargetTimes): PolicyTargets {
  const policyTargets = new Map<string, OpenTarget>();
  const { firstRunMs, betweenFirstRunsMs } = timing.policies;

  const acknowledgeAll = ({ unacknowledged }: OpenTarget): void => {
    for (const acknowledge of unacknowledged.splice(0)) acknowledge();
  };

  function step(policyTarget: OpenTarget, event: TargetEvent): boolean {
    const after = next(policyTarget.state, event, times);
    policyTarget.state = after.policyTarget;
    // a started run is observed by all senders, and repeated if it dies
    if (policyTarget.state.phase !== 'settling') acknowledgeAll(policyTarget);
    return after.start;
  }

  function open(policy: Policy, context: JobContext, now: number, due: number): OpenTarget {
    const key = targetKey(context.request);
    const known = policyTargets.get(key);
    if (!known) return { key, policy, context, state: fresh(now, due), unacknowledged: [] };
    const isSame = JSON.stringify(known.context.request) === JSON.stringify(context.request);
    Object.assign(known, { policy, context });
    if (!isSame) step(known, { type: 'trigger', now });
    return known;
  }

  return {
    all: policyTargets,
    use(policies, now) {
      const opened = policies
        .flatMap((policy) => policy.targets.map((context) => ({ policy, context })))
        .map(({ policy, context }, at) => open(policy, context, now, now + firstRunMs + at * betweenFirstRunsMs));
      const kept = new Set(opened);
      for (const policyTarget of policyTargets.values()) if (!kept.has(policyTarget)) acknowledgeAll(policyTarget);
      policyTargets.clear();
      for (const policyTarget of opened) policyTargets.set(policyTarget.key, policyTarget);
    },
    trigger(snapshot, now, acknowledge) {
      let open = 0;
      const onStarted = (): void => {
        open -= 1;
        if (open === 0) acknowledge();
      };
      const triggered = [...policyTargets.values()].filter(({ policy }) => isAbout(policy, snapshot));
      for (const policyTarget of triggered) {
        open += 1;
        policyTarget.unacknowledged.push(onStarted);
      }
      for (const policyTarget of triggered) step(policyTarget, { type: 'trigger', now });
      if (triggered.length === 0) acknowledge();
    },
    triggerAll(now) {
      for (const policyTarget of policyTargets.values()) step(policyTarget, { type: 'trigger', now });
    },
    reconcileSooner(now) {
      for (const policyTarget of policyTargets.values()) step(policyTarget, { type: 'interval', now });
    },
    feed(key, event) {
      const policyTarget = policyTargets.get(key);
      if (policyTarget) step(policyTarget, event);
    },
    wake: (now) => [...policyTargets.values()].filter((policyTarget) => step(policyTarget, { type: 'wake', now })),
    get due() {
      const dues = [...policyTargets.values()].map(({ state }) => dueOf(state)).filter((due) => due !== undefined);
      return dues.length > 0 ? Math.min(...dues) : undefined;
    },
  };
}
