import type { Inventory } from '../../schemas/inventory.ts';
import { datasetOf, poolOf } from '../../schemas/names.ts';
import type { Plan, SendRequest, Step } from '../../schemas/plan.ts';
import { withModified } from './conflict/modified.ts';
import { type Draft, policyOf, underPolicy } from './conflict/resolve.ts';
import type { DatasetPlans } from './dataset-plan.ts';
import { findDataset, findSubtree } from './inventory/listing.ts';
import { type Matched, matchTargets } from './match/match-targets.ts';
import { isRefusal, type Refusal, refuse } from './refusal.ts';
import { noSuchDataset, selectPackage } from './request/selection.ts';
import { targetRoot } from './request/target-name.ts';
import { requestFault } from './request/validate-request.ts';
import { wantedOf } from './request/wanted.ts';
import { composed } from './steps/compose.ts';
import { planItems } from './steps/items.ts';
import { withFeatureNote } from './steps/stream-needs.ts';

/**
 * The ordered steps of a request (none if the target has everything), or a refusal with its evidence. Pure (I12).
 * @param source lists the dataset, for a package with its descendants
 * @param target lists its counterpart likewise; for a clone whose origin is outside the package, the whole pool
 */
export function plan(request: SendRequest, source: Inventory, target: Inventory): Plan {
  const plans = planDatasets(request, source, target);
  return isRefusal(plans) ? plans : composed(plans);
}

/**
 * As plan, for each dataset. A refusal concerns the whole request.
 * @param arrived steps of the same job that have arrived on the target, if it plans again
 */
export function planDatasets(
  request: SendRequest,
  source: Inventory,
  target: Inventory,
  arrived: readonly Step[] = [],
): DatasetPlans | Refusal {
  const plans = planListed(request, source, target, arrived);
  const isIdle = isRefusal(plans) || plans.datasets.every(({ steps }) => steps.length === 0);
  return isIdle ? plans : (readOnlyPool(request, target) ?? withFeatureNote(plans, request, source, target));
}

function planListed(
  request: SendRequest,
  source: Inventory,
  target: Inventory,
  arrived: readonly Step[],
): DatasetPlans | Refusal {
  const fault = requestFault(request, source, target) ?? noPool(request, target);
  if (fault) return fault;
  const policy = policyOf(request);
  const draftOn = (listing: Inventory) =>
    request.package ? draftPackage(request, source, listing, arrived) : draftSingle(request, source, listing, arrived);
  if (policy) return underPolicy(policy, source, target, draftOn);
  const draft = draftOn(target);
  return isRefusal(draft) ? draft : withModified(draft, target.host);
}

/** An empty listing shows no pools. */
function noPool(request: SendRequest, { host, datasets }: Inventory): Refusal | undefined {
  const root = targetRoot(request);
  const pool = poolOf(root);
  if (datasets.length === 0 || datasets.some(({ name }) => poolOf(name) === pool)) return undefined;
  return refuse(
    'NO_SUCH_DATASET',
    `${host} has no pool ${pool} for ${root}. Check the name of the target with: zpsend snapshots ${host}`,
    {
      details: { host, dataset: root, pool },
    },
  );
}

/** Concerns pools only: a replica with the property `readonly` can receive. */
function readOnlyPool(request: SendRequest, { host, readOnlyPools }: Inventory): Refusal | undefined {
  const root = targetRoot(request);
  const pool = poolOf(root);
  if (!readOnlyPools?.includes(pool)) return undefined;
  return refuse(
    'READ_ONLY',
    `Pool ${pool} on ${host} is imported read-only, so nothing can be received into ${root}. ` +
      `To fix: zpool export ${pool} there, then zpool import ${pool}.`,
    { details: { host, dataset: root, pool } },
  );
}

function draftSingle(
  request: SendRequest,
  source: Inventory,
  target: Inventory,
  arrived: readonly Step[],
): Draft | Refusal {
  const name = datasetOf(request.dataset);
  const dataset = findDataset(source, name);
  if (dataset === undefined) return noSuchDataset(source, name);
  if (isRefusal(dataset)) return dataset;
  const wanted = wantedOf(request, source.host, dataset);
  if (isRefusal(wanted)) return wanted;
  const root = targetRoot(request);
  const existing = findDataset(target, root);
  if (isRefusal(existing)) return existing;
  const item = { dataset, wanted, targetDataset: root, existing, parent: undefined };
  const matched = { items: [item], findInFamily: none, findInPackage: none, sourceOf: none };
  return draftOf(request, source, target, matched, arrived);
}

const none = () => undefined;

function draftOf(
  request: SendRequest,
  source: Inventory,
  target: Inventory,
  matched: Matched,
  arrived: readonly Step[],
): Draft | Refusal {
  const plans = planItems(request, source, target, matched, arrived);
  return isRefusal(plans) ? plans : { plans, items: matched.items };
}

function draftPackage(
  request: SendRequest,
  source: Inventory,
  target: Inventory,
  arrived: readonly Step[],
): Draft | Refusal {
  const selection = selectPackage(request, source);
  if (isRefusal(selection)) return selection;
  const root = targetRoot(request);
  const there = findSubtree(target, root);
  if (isRefusal(there)) return there;
  const name = datasetOf(request.dataset);
  const matched = matchTargets(selection, name, root, there);
  const draft = draftOf(request, source, target, matched, arrived);
  if (isRefusal(draft)) return draft;
  const { plans, items } = draft;
  const missing = selection.missing.map(({ dataset, refusal }) => ({
    sourceDataset: dataset,
    targetDataset: `${root}${dataset.slice(name.length)}`,
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
