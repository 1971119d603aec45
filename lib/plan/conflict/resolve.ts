import type { ConflictResolution } from '../../../schemas/conflict.ts';
import type { Inventory } from '../../../schemas/inventory.ts';
import type { Step } from '../../../schemas/plan.ts';
import type { SendRequest } from '../../../schemas/request.ts';
import type { DatasetPlan, DatasetPlans } from '../dataset-plan.ts';
import { newestCommon } from '../inventory/bases.ts';
import { isAfter } from '../inventory/txg.ts';
import type { Item } from '../match/match-targets.ts';
import { isRefusal, type Refusal } from '../refusal.ts';
import { afterResolution } from './after-resolution.ts';
import { isModified } from './evidence.ts';
import { resolutionNote, untouchedNote } from './notes.ts';
import { inOrderOfRenames } from './rename-order.ts';
import { type Found, rollbackTo } from './rollback.ts';
import { follow, lastOf, rotateTarget } from './rotate.ts';

/** The plans of a request for some listing of the target, and the items that they are made of. */
export interface Draft {
  plans: DatasetPlans;
  items: readonly Item[];
}

interface ChosenResolution {
  resolution: ConflictResolution;
  /** Only planned with, not performed, because nothing has to be sent to this dataset. */
  untouched: boolean;
}

/**
 * Plans under a conflict policy. Applies each resolution to the listing and plans everything again from it, so a plan stays the same
 * once its resolutions are done. A dataset that gets no steps even then keeps its refusal, and its target stays unchanged.
 */
export function underPolicy(
  policy: 'rollback' | 'rotate',
  source: Inventory,
  target: Inventory,
  draftOn: (target: Inventory) => Draft | Refusal,
): DatasetPlans | Refusal {
  const unresolvable = new Map<string, string>();
  let chosen = new Map<string, ChosenResolution>();
  let listing = target;
  for (;;) {
    const draft = draftOn(listing);
    if (isRefusal(draft)) return draft;
    const byName = new Map(draft.plans.datasets.map((plan) => [plan.sourceDataset, plan]));
    const useless = [...chosen].filter(([name, { untouched }]) => !untouched && !byName.get(name)?.steps.length);
    if (useless.length > 0) {
      // others may have been chosen because of it
      for (const [name] of useless) unresolvable.set(name, whyUseless(byName.get(name)));
      chosen = new Map();
      listing = target;
      continue;
    }
    // renames that follow the source come first: they free names
    const followers = draft.items.filter(({ previousName }) => previousName !== undefined);
    const others = draft.items.filter(({ previousName }) => previousName === undefined);
    if (!choose(followers, byName) && !choose(others, byName)) {
      return finished(policy, draft.plans, { chosen, unresolvable, target, source });
    }
  }

  /** Chooses resolutions for these items. @returns whether there is a new one */
  function choose(items: readonly Item[], byName: ReadonlyMap<string, DatasetPlan>): boolean {
    const before = chosen.size;
    for (const item of items) {
      const { name } = item.dataset;
      const plan = byName.get(name);
      if (!plan || chosen.has(name) || unresolvable.has(name)) continue;
      const found = resolutionFor(policy, item, plan, source, listing);
      if (found && 'why' in found) unresolvable.set(name, found.why);
      else if (found) {
        chosen.set(name, found);
        listing = afterResolution(listing, found.resolution);
      }
    }
    return chosen.size > before;
  }
}

function resolutionFor(
  policy: 'rollback' | 'rotate',
  item: Item,
  { steps, refusal }: DatasetPlan,
  source: Inventory,
  listing: Inventory,
): ChosenResolution | { why: string } | undefined {
  if (item.previousName !== undefined) {
    return policy === 'rotate' && refusal?.error.code === 'EXISTS' ? performed(follow(item, listing)) : undefined;
  }
  const { dataset, wanted, existing: there } = item;
  if (there === undefined) return undefined;
  const code = refusal?.error.code;
  const isConflict = code === 'DIVERGED' || (code === 'EXISTS' && policy === 'rotate');
  // writes can also prevent a new key, for this dataset and for others
  const isAffected = steps.length > 0 || code === 'KEY_MISMATCH';
  if (!isConflict && !(isAffected && isModified(there))) return undefined;
  const common = newestCommon(dataset, there);
  const last = lastOf(wanted);
  if (wanted.kind === 'chain' && common && !(last && isAfter(last, common))) {
    const back = rollbackTo(common, source, there, { ...listing, datasets: [] });
    return 'resolution' in back ? { ...back, untouched: true } : undefined;
  }
  return performed(
    policy === 'rollback' ? rollbackTo(common, source, there, listing) : rotateTarget(there, common, listing),
  );
}

const performed = (found: Found<ConflictResolution>): ChosenResolution | { why: string } =>
  'resolution' in found ? { ...found, untouched: false } : found;

const whyUseless = (plan: DatasetPlan | undefined): string =>
  plan?.refusal ? `it would still be refused: ${plan.refusal.error.message}` : 'nothing would be sent to it';

interface Outcome {
  chosen: ReadonlyMap<string, ChosenResolution>;
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
    if (found?.untouched) notes.push(untouchedNote(plan, found.resolution, target.host));
    if (!found || found.untouched || !first) return plan;
    const before: Step = { ...first, before: found.resolution };
    notes.push(resolutionNote(plan, found.resolution, { first, target, source }));
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

/** The policy of a request, if it may change the target. */
export const conflictPolicyOf = ({ conflict }: SendRequest): 'rollback' | 'rotate' | undefined =>
  conflict === 'refuse' ? undefined : conflict;
