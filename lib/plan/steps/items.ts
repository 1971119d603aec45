import type { Inventory } from '../../../schemas/inventory.ts';
import { isWithin, leafOf, poolOf } from '../../../schemas/names.ts';
import type { Note, Step } from '../../../schemas/plan.ts';
import type { DatasetPlan, DatasetPlans } from '../dataset-plan.ts';
import { damaged } from '../inventory/listing.ts';
import type { Item, Matched } from '../match/match-targets.ts';
import { findInPool } from '../match/origin.ts';
import { withKeysKept } from '../placement/encryption-roots.ts';
import { byName } from '../placement/key-changes.ts';
import { placeholdersOn } from '../placement/placeholders.ts';
import { isRefusal, type Refusal } from '../refusal.ts';
import type { JobContext } from '../request/job-context.ts';
import { type CloneContext, originInside, promotedStart, snapshotWithGuid } from './clones.ts';
import { type ItemPlanning, itemSteps } from './item-steps.ts';
import { inOrderOfNeed, type Need } from './order.ts';
import { streamsTo } from './stream-flags.ts';

/**
 * Plans each dataset, after its parent and its origin.
 * @param arrived steps of the same job that have arrived on the target
 */
export function planItems(
  context: JobContext,
  source: Inventory,
  target: Inventory,
  { items: all, findInFamily, findInPackage, sourceDatasetOf }: Matched,
  arrived: readonly Step[] = [],
): DatasetPlans | Refusal {
  const { sourceDataset, request } = context;
  const plans = new Map<Item, DatasetPlan>();
  const notes: Note[] = [];
  const brought = new Map<string, string>();
  const containsOrigin = new Set<Item>();
  const cloneContext: CloneContext = {
    source,
    target,
    selfContained: request.selfContained ?? false,
    sourceDataset,
    items: new Map(all.map((item) => [item.dataset.name, item])),
    findInFamily: request.selfContained ? findInPackage : findInFamily,
    containsOrigin,
    brought,
    refusalOf: (item) => plans.get(item)?.refusal,
    findOutside: findInPool(withoutSource(sourceDataset, source, target), poolOf(context.targetDataset)),
  };
  const order = ordered(all, cloneContext, containsOrigin, source);
  if (isRefusal(order)) return order;
  const origins = new Set(all.map((item) => item.dataset.origin?.name));
  const planning: ItemPlanning = {
    job: context,
    source,
    target,
    context: cloneContext,
    placeholders: placeholdersOn(target, sourceDatasetOf),
    sourceByName: byName(source),
    streamsOf: streamsTo(target, request.stream ?? {}),
    addNotes: (some) => notes.push(...some),
  };

  for (const item of order) {
    const steps = itemSteps(item, planning);
    const { dataset, targetDataset } = item;
    plans.set(item, {
      sourceDataset: dataset.name,
      targetDataset,
      ...(isRefusal(steps) ? { steps: [], refusal: steps } : { steps }),
    });
    if (isRefusal(steps) || steps.length === 0) continue;
    for (const { to } of steps) if (origins.has(to.name)) brought.set(to.name, `${targetDataset}@${leafOf(to.name)}`);
  }
  const kept = withKeysKept([...plans.values()], { source, target, items: cloneContext.items, arrived });
  return { datasets: kept.plans, notes: [...notes, ...kept.notes] };
}

/** Orders items, and breaks loops in which a dataset is a clone of its own descendant. Refuses clones that form a loop. */
function ordered(
  all: readonly Item[],
  context: CloneContext,
  containsOrigin: Set<Item>,
  source: { host: string },
): Item[] | Refusal {
  for (;;) {
    const result = inOrderOfNeed(all, (item) => needsOf(item, context));
    if ('order' in result) return result.order;
    const [first] = result.clones;
    if (first === undefined || result.clones.length === result.loop.length) {
      return damaged(source, `shows clones in a loop: ${result.loop.map(({ dataset }) => dataset.name).join(', ')}`);
    }
    containsOrigin.add(first);
  }
}

/** The datasets that have to be on the target before the first step of a new one. */
function needsOf(item: Item, context: CloneContext): Need<Item>[] {
  if (item.existing?.snapshots.length) return [];
  const needs: Need<Item>[] = [];
  if (item.parent && !item.existing) needs.push({ of: item.parent, kind: 'parent' });
  const inside = context.containsOrigin.has(item) ? undefined : originInside(item, context);
  const isThere = inside && snapshotWithGuid(inside.existing, item.dataset.origin?.guid) !== undefined;
  if (inside && !isThere && !promotedStart(item, context)) needs.push({ of: inside, kind: 'origin' });
  return needs;
}

/** On one host, the source is in the target's listing too; a replica must not become a clone of it. */
const withoutSource = (sourceDataset: string, source: Inventory, target: Inventory): Inventory =>
  source.host === target.host
    ? { ...target, datasets: target.datasets.filter(({ name }) => !isWithin(name, sourceDataset)) }
    : target;
