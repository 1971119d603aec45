import type { Clearing } from '../../../schemas/conflict.ts';
import type { Inventory } from '../../../schemas/inventory.ts';
import type { SendRequest, Step } from '../../../schemas/plan.ts';
import type { DatasetPlan, DatasetPlans } from '../dataset-plan.ts';
import { newestCommon } from '../inventory/bases.ts';
import { isAfter } from '../inventory/txg.ts';
import type { Item } from '../match/match-targets.ts';
import { isRefusal, type Refusal } from '../refusal.ts';
import { cleared } from './after-resolution.ts';
import { isModified } from './evidence.ts';
import { clearingNote, untouchedNote } from './notes.ts';
import { inOrderOfRenames } from './rename-order.ts';
import { type Found, rollbackTo } from './rollback.ts';
import { follow, lastOf, rotateTarget } from './rotate.ts';

/** The plans of a request on some listing of the target, and what they were made of. */
export interface Draft {
  plans: DatasetPlans;
  items: readonly Item[];
}

interface Cleared {
  clearing: Clearing;
  /** Nothing is to be sent to it, so nothing is done to it: it is only planned as if it were not in the way. */
  untouched: boolean;
}

/**
 * Plans under a policy that lets something be done to the target. What stands in the way is taken out of the listing as
 * the policy would take it out of the target, and all is planned again from that; a dataset that has no steps even then
 * keeps its refusal, and nothing is done to it. So whatever is planned after a clearing is what will be planned once it is done.
 */
export function underPolicy(
  policy: 'rollback' | 'rotate',
  source: Inventory,
  target: Inventory,
  draftOn: (target: Inventory) => Draft | Refusal,
): DatasetPlans | Refusal {
  const unresolvable = new Map<string, string>();
  let chosen = new Map<string, Cleared>();
  let listing = target;
  for (;;) {
    const draft = draftOn(listing);
    if (isRefusal(draft)) return draft;
    const byName = new Map(draft.plans.datasets.map((plan) => [plan.sourceDataset, plan]));
    const useless = [...chosen].filter(([name, { untouched }]) => !untouched && !byName.get(name)?.steps.length);
    if (useless.length > 0) {
      // others may have been chosen because of it
      for (const [name] of useless) unresolvable.set(name, uselessFor(byName.get(name)));
      chosen = new Map();
      listing = target;
      continue;
    }
    // a name that one leaves behind, by following, is in nobody's way any more
    const followers = draft.items.filter(({ previousName }) => previousName !== undefined);
    const others = draft.items.filter(({ previousName }) => previousName === undefined);
    if (!choose(followers, byName) && !choose(others, byName)) {
      return finished(policy, draft.plans, { chosen, unresolvable, target, source });
    }
  }

  /** Is there one more? */
  function choose(items: readonly Item[], byName: ReadonlyMap<string, DatasetPlan>): boolean {
    const before = chosen.size;
    for (const item of items) {
      const { name } = item.dataset;
      const plan = byName.get(name);
      if (!plan || chosen.has(name) || unresolvable.has(name)) continue;
      const found = clearingFor(policy, item, plan, source, listing);
      if (found && 'why' in found) unresolvable.set(name, found.why);
      else if (found) {
        chosen.set(name, found);
        listing = cleared(listing, found.clearing);
      }
    }
    return chosen.size > before;
  }
}

function clearingFor(
  policy: 'rollback' | 'rotate',
  item: Item,
  { steps, refusal }: DatasetPlan,
  source: Inventory,
  listing: Inventory,
): Cleared | { why: string } | undefined {
  if (item.previousName !== undefined) {
    return policy === 'rotate' && refusal?.error.code === 'EXISTS' ? acting(follow(item, listing)) : undefined;
  }
  const { dataset, wanted, existing: there } = item;
  if (there === undefined) return undefined;
  const code = refusal?.error.code;
  const isInTheWay = code === 'DIVERGED' || (code === 'EXISTS' && policy === 'rotate');
  // what was written keeps a new key away too, from others as well
  const isHeldUp = steps.length > 0 || code === 'KEY_MISMATCH';
  if (!isInTheWay && !(isHeldUp && isModified(there))) return undefined;
  const common = newestCommon(dataset, there);
  const last = lastOf(wanted);
  if (wanted.kind === 'chain' && common && !(last && isAfter(last, common))) {
    const back = rollbackTo(common, source, there, { ...listing, datasets: [] });
    return 'clearing' in back ? { ...back, untouched: true } : undefined;
  }
  return acting(
    policy === 'rollback' ? rollbackTo(common, source, there, listing) : rotateTarget(there, common, listing),
  );
}

const acting = (found: Found<Clearing>): Cleared | { why: string } =>
  'clearing' in found ? { ...found, untouched: false } : found;

const uselessFor = (plan: DatasetPlan | undefined): string =>
  plan?.refusal ? `even then: ${plan.refusal.error.message}` : 'nothing would be sent to it';

interface Outcome {
  chosen: ReadonlyMap<string, Cleared>;
  unresolvable: ReadonlyMap<string, string>;
  target: Inventory;
  source: { host: string };
}

function finished(
  policy: string,
  plans: DatasetPlans,
  { chosen, unresolvable, target, source }: Outcome,
): DatasetPlans {
  const notes = [...plans.notes];
  const datasets = plans.datasets.map((plan): DatasetPlan => {
    const found = chosen.get(plan.sourceDataset);
    const why = unresolvable.get(plan.sourceDataset);
    if (plan.refusal && why !== undefined) return { ...plan, refusal: unresolvableBy(plan.refusal, policy, why) };
    const [first, ...rest] = plan.steps;
    if (found?.untouched) notes.push(untouchedNote(plan, found.clearing, target.host));
    if (!found || found.untouched || !first) return plan;
    const before: Step = { ...first, before: found.clearing };
    notes.push(clearingNote(plan, found.clearing, { first, target, source }));
    return { ...plan, steps: [before, ...rest] };
  });
  return { datasets: inOrderOfRenames(datasets, chosen.keys()), notes };
}

const unresolvableBy = ({ error, ...rest }: Refusal, policy: string, why: string): Refusal => ({
  ...rest,
  error: {
    ...error,
    message: `${error.message} --conflict ${policy} does not help: ${why}.`.slice(0, 8192),
    details: { ...error.details, unhelpful: policy },
  },
});

/** The policies that change anything. */
export const policyOf = ({ conflict }: SendRequest): 'rollback' | 'rotate' | undefined =>
  conflict === 'refuse' ? undefined : conflict;
