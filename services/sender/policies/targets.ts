import type { ErrorBody } from '../../../schemas/errors.ts';
import type { Target } from '../../../schemas/plan.ts';
import { isAbout, type Policy, targetKey } from './policy.ts';
import { dueOf, fresh, next, type PolicyTarget, type TargetEvent, type TargetTimes } from './target-state.ts';

/** One dataset's way to one target, and what is done about it. */
export interface OpenTarget {
  readonly key: string;
  policy: Policy;
  to: Target;
  state: PolicyTarget;
  /** What the last run failed with. */
  error?: ErrorBody | undefined;
  /** Events that no run has been started for yet. */
  readonly untaken: (() => void)[];
}

/** The policy targets of all policies in force. Deterministic: the clock and the runs are its caller's. */
export interface PolicyTargets {
  readonly all: ReadonlyMap<string, OpenTarget>;
  /** PolicyTargets of these policies are kept as they are, unless the policy has changed; others end, and new ones begin. */
  use(policies: readonly Policy[], now: number): void;
  /** A snapshot that may have to be sent. @param taken called when a run for it has begun, or none is needed */
  trigger(snapshot: string, now: number, taken: () => void): void;
  triggerAll(now: number): void;
  feed(key: string, event: Exclude<TargetEvent, { type: 'wake' }>): void;
  /** The policy targets that have to be run now, and now count as running. */
  wake(now: number): OpenTarget[];
  /** When the next one has to be woken; undefined where nothing is waited for. */
  readonly due: number | undefined;
}

/** The first look after a start, while it is heard what others do, in milliseconds. */
const firstLook = 1000;
/** From one first look to the next: each lists both sides, in milliseconds. */
const apart = 50;

export function openPolicyTargets(times: TargetTimes): PolicyTargets {
  const policyTargets = new Map<string, OpenTarget>();

  const takeAll = ({ untaken }: OpenTarget): void => {
    for (const taken of untaken.splice(0)) taken();
  };

  function step(policyTarget: OpenTarget, event: TargetEvent): boolean {
    const after = next(policyTarget.state, event, times);
    policyTarget.state = after.policyTarget;
    // a run that has begun is heard of, and so is what it leaves undone when it dies
    if (policyTarget.state.phase !== 'settling') takeAll(policyTarget);
    return after.start;
  }

  function open(policy: Policy, to: Target, now: number, due: number): OpenTarget {
    const key = targetKey({ ...policy.request, to });
    const known = policyTargets.get(key);
    if (!known) return { key, policy, to, state: fresh(now, due), untaken: [] };
    const isSame = JSON.stringify([known.policy.request, known.to]) === JSON.stringify([policy.request, to]);
    Object.assign(known, { policy, to });
    if (!isSame) step(known, { type: 'trigger', now });
    return known;
  }

  return {
    all: policyTargets,
    use(policies, now) {
      const opened = policies
        .flatMap((policy) => policy.targets.map((to) => ({ policy, to })))
        .map(({ policy, to }, at) => open(policy, to, now, now + firstLook + at * apart));
      const kept = new Set(opened);
      for (const policyTarget of policyTargets.values()) if (!kept.has(policyTarget)) takeAll(policyTarget);
      policyTargets.clear();
      for (const policyTarget of opened) policyTargets.set(policyTarget.key, policyTarget);
    },
    trigger(snapshot, now, taken) {
      let owed = 0;
      const paid = (): void => {
        owed -= 1;
        if (owed === 0) taken();
      };
      const meant = [...policyTargets.values()].filter(({ policy }) => isAbout(policy, snapshot));
      for (const policyTarget of meant) {
        owed += 1;
        policyTarget.untaken.push(paid);
      }
      for (const policyTarget of meant) step(policyTarget, { type: 'trigger', now });
      if (meant.length === 0) taken();
    },
    triggerAll(now) {
      for (const policyTarget of policyTargets.values()) step(policyTarget, { type: 'trigger', now });
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
