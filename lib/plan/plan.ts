import type { Inventory } from '../../schemas/inventory.ts';
import { poolOf } from '../../schemas/names.ts';
import type { Plan, Step } from '../../schemas/plan.ts';
import { withModified } from './conflict/modified.ts';
import { conflictPolicyOf, type Draft, underPolicy } from './conflict/resolve.ts';
import type { DatasetPlans } from './dataset-plan.ts';
import { findDataset, findSubtree } from './inventory/listing.ts';
import { type Matched, matchTargets } from './match/match-targets.ts';
import { isRefusal, type Refusal, refuse } from './refusal.ts';
import type { JobContext } from './request/job-context.ts';
import { noSuchDataset, selectPackage } from './request/selection.ts';
import { wantedOf } from './request/wanted.ts';
import { composed } from './steps/compose.ts';
import { planItems } from './steps/items.ts';
import { withFeatureNote } from './steps/stream-needs.ts';

/**
 * The ordered steps of a request (none if the target has everything), or a refusal with its evidence. Pure (I12).
 * @param source lists the dataset, for a package with its descendants
 * @param target lists its counterpart likewise; for a clone whose origin is outside the package, the whole pool
 */
export function plan(context: JobContext, source: Inventory, target: Inventory): Plan {
  const plans = planDatasets(context, source, target);
  return isRefusal(plans) ? plans : composed(plans);
}

/**
 * As plan, for each dataset. A refusal concerns the whole request.
 * @param arrived steps of the same job that have arrived on the target, if it plans again
 */
export function planDatasets(
  context: JobContext,
  source: Inventory,
  target: Inventory,
  arrived: readonly Step[] = [],
): DatasetPlans | Refusal {
  const plans = planListed(context, source, target, arrived);
  const isIdle = isRefusal(plans) || plans.datasets.every(({ steps }) => steps.length === 0);
  return isIdle ? plans : (readOnlyPool(context, target) ?? withFeatureNote(plans, context, source, target));
}

function planListed(
  context: JobContext,
  source: Inventory,
  target: Inventory,
  arrived: readonly Step[],
): DatasetPlans | Refusal {
  const fault = otherHost(context, target) ?? noPool(context, target);
  if (fault) return fault;
  const policy = conflictPolicyOf(context.request);
  const draftOn = (listing: Inventory) =>
    context.isRecursive
      ? draftPackage(context, source, listing, arrived)
      : draftSingle(context, source, listing, arrived);
  if (policy) return underPolicy(policy, source, target, draftOn);
  const draft = draftOn(target);
  return isRefusal(draft) ? draft : withModified(draft, target.host);
}

function otherHost({ targetHost }: JobContext, { host }: Inventory): Refusal | undefined {
  if (targetHost === host) return undefined;
  return refuse(
    'BAD_REQUEST',
    `The request is for ${targetHost}, but the target's listing is of ${host}. Name ${host} as the target, or list ${targetHost}.`,
  );
}

/** An empty listing shows no pools. */
function noPool({ targetDataset }: JobContext, { host, datasets }: Inventory): Refusal | undefined {
  const pool = poolOf(targetDataset);
  if (datasets.length === 0 || datasets.some(({ name }) => poolOf(name) === pool)) return undefined;
  return refuse(
    'NO_SUCH_DATASET',
    `${host} has no pool ${pool} for ${targetDataset}. Check the name of the target with: zpsend snapshots ${host}`,
    {
      details: { host, dataset: targetDataset, pool },
    },
  );
}

/** Concerns pools only: a replica with the property `readonly` can receive. */
function readOnlyPool({ targetDataset }: JobContext, { host, readOnlyPools }: Inventory): Refusal | undefined {
  const pool = poolOf(targetDataset);
  if (!readOnlyPools?.includes(pool)) return undefined;
  return refuse(
    'READ_ONLY',
    `Pool ${pool} on ${host} is imported read-only, so nothing can be received into ${targetDataset}. ` +
      `To fix: zpool export ${pool} there, then zpool import ${pool}.`,
    { details: { host, dataset: targetDataset, pool } },
  );
}

function draftSingle(
  context: JobContext,
  source: Inventory,
  target: Inventory,
  arrived: readonly Step[],
): Draft | Refusal {
  const { sourceDataset, targetDataset } = context;
  const dataset = findDataset(source, sourceDataset);
  if (dataset === undefined) return noSuchDataset(source, sourceDataset);
  if (isRefusal(dataset)) return dataset;
  const wanted = wantedOf(context, dataset);
  if (isRefusal(wanted)) return wanted;
  const existing = findDataset(target, targetDataset);
  if (isRefusal(existing)) return existing;
  const item = { dataset, wanted, targetDataset, existing, parent: undefined };
  const matched = { items: [item], findInFamily: none, findInPackage: none, sourceDatasetOf: none };
  return draftOf(context, source, target, matched, arrived);
}

const none = () => undefined;

function draftOf(
  context: JobContext,
  source: Inventory,
  target: Inventory,
  matched: Matched,
  arrived: readonly Step[],
): Draft | Refusal {
  const plans = planItems(context, source, target, matched, arrived);
  return isRefusal(plans) ? plans : { plans, items: matched.items };
}

function draftPackage(
  context: JobContext,
  source: Inventory,
  target: Inventory,
  arrived: readonly Step[],
): Draft | Refusal {
  const selection = selectPackage(context, source);
  if (isRefusal(selection)) return selection;
  const { sourceDataset, targetDataset } = context;
  const there = findSubtree(target, targetDataset);
  if (isRefusal(there)) return there;
  const matched = matchTargets(selection, context, there);
  const draft = draftOf(context, source, target, matched, arrived);
  if (isRefusal(draft)) return draft;
  const { plans, items } = draft;
  const missing = selection.missing.map(({ dataset, refusal }) => ({
    sourceDataset: dataset,
    targetDataset: `${targetDataset}${dataset.slice(sourceDataset.length)}`,
    steps: [],
    refusal,
  }));
  return {
    plans: {
      datasets: [...plans.datasets, ...missing],
      notes: [...selection.notes, ...plans.notes],
    },
    items,
  };
}
