import type { DatasetEntry, Inventory } from '../../../schemas/inventory.ts';
import { datasetOf, elementsOf, isWithin, leafOf, maxElements, maxNameLength } from '../../../schemas/names.ts';
import type { Note, SendRequest, Step } from '../../../schemas/plan.ts';
import { lastOf, startFromAside } from '../conflict/rotate.ts';
import type { DatasetPlan, DatasetPlans } from '../dataset-plan.ts';
import { damaged } from '../inventory/listing.ts';
import type { Item, Matched } from '../match/match-targets.ts';
import { findInPool } from '../match/origin.ts';
import { withKeysKept } from '../placement/encryption-roots.ts';
import { byName } from '../placement/key-changes.ts';
import { wrappingOfRoot } from '../placement/key-wrapping.ts';
import { placeholdersOn } from '../placement/placeholders.ts';
import { isRefusal, type Refusal, refuse } from '../refusal.ts';
import { placesBelow, targetRoot } from '../request/target-name.ts';
import { blockedBy, type CloneContext, heldBy, originInside, promotedStart, seedStart } from './clones.ts';
import { datasetSteps } from './dataset-steps.ts';
import { inOrderOfNeed, type Need } from './order.ts';
import { redactedIn } from './redacted.ts';
import { flagsOf, streamsTo } from './stream-flags.ts';

/**
 * Plans each dataset, in an order in which whatever a step needs is there before it.
 * @param arrived steps of the same job that are on the target
 */
export function planItems(
  request: SendRequest,
  source: Inventory,
  target: Inventory,
  { items: all, findInFamily, findInPackage, sourceOf }: Matched,
  arrived: readonly Step[] = [],
): DatasetPlans | Refusal {
  const root = datasetOf(request.dataset);
  const plans = new Map<Item, DatasetPlan>();
  const notes: Note[] = [];
  const brought = new Map<string, string>();
  const apart = new Set<Item>();
  const context: CloneContext = {
    source,
    target,
    selfContained: request.selfContained ?? false,
    root,
    items: new Map(all.map((item) => [item.dataset.name, item])),
    findInFamily: request.selfContained ? findInPackage : findInFamily,
    apart,
    brought,
    refusalOf: (item) => plans.get(item)?.refusal,
    findOutside: findInPool(apartFrom(root, source, target), targetRoot(request)),
  };
  const order = ordered(all, context, apart, source);
  if (isRefusal(order)) return order;
  const origins = new Set(all.map((item) => item.dataset.origin?.name));
  const placeholders = placeholdersOn(target, sourceOf);
  const sourceByName = byName(source);
  const streamsOf = streamsTo(target, request.stream ?? {});
  // with -c nothing outside the package is an origin
  const isRotated = request.conflict === 'rotate' && !request.selfContained;

  for (const item of order) {
    const steps = stepsOf(item);
    const { dataset, target: name } = item;
    plans.set(item, {
      dataset: dataset.name,
      target: name,
      ...(isRefusal(steps) ? { steps: [], refusal: steps } : { steps }),
    });
    if (isRefusal(steps) || steps.length === 0) continue;
    for (const { to } of steps) if (origins.has(to.name)) brought.set(to.name, `${name}@${leafOf(to.name)}`);
  }
  const kept = withKeysKept([...plans.values()], { source, target, items: context.items, arrived });
  return { datasets: kept.plans, notes: [...notes, ...kept.notes] };

  /** Where the parent is there, and is the one that belongs there, its own key and flags hinder nothing below it. */
  function obstacleIn(parent: Item): Refusal | undefined {
    const refusal = context.refusalOf(parent);
    const code = refusal?.error.code;
    return parent.existing && (code === 'KEY_REQUIRED' || code === 'UNSUPPORTED') ? undefined : refusal;
  }

  function stepsOf(item: Item): Step[] | Refusal {
    const { parent, existing, dataset } = item;
    const obstacle = parent && !existing && !isPlaceholder(parent.existing) ? obstacleIn(parent) : undefined;
    if (parent && obstacle) return blockedBy(item, parent, obstacle, 'lies below it');
    if (item.formerly !== undefined) return renamed(item, item.formerly, source.host, target.host);
    if (existing?.withheld && lastOf(item.wanted)) return notShown(item, source.host, target.host);
    const plan = datasetSteps({
      source: { host: source.host, dataset },
      target: { host: target.host, name: item.target, dataset: existing },
      wanted: item.wanted,
      below: dataset.name === root ? placesBelow(request) : [],
      seedStart: () => (isRotated && startFromAside(item, target)) || seedStart(item, context),
    });
    if (!plan.ok) return plan;
    const long = plan.steps.find(({ to }) => item.target.length + 1 + (leafOf(to.name) ?? '').length > maxNameLength);
    if (long) return tooLong(item, long, root);
    const [first, ...rest] = plan.steps;
    if (first === undefined) return plan.steps;
    const sides = {
      source: { host: source.host, dataset },
      target: { host: target.host, name: item.target, existing },
    };
    const redacted = redactedIn({ ...sides, steps: plan.steps }, target);
    if (redacted) return redacted;
    const one = { name: item.target, source: { host: source.host, dataset }, origin: first.origin };
    const streams = streamsOf({ ...one, existing });
    if (isRefusal(streams)) return streams;
    const { flags, record, note } = streams;
    const raw = flags.includes('raw');
    const embed = flags.includes('embed');
    const placed = placeholders.place({ ...one, raw, embed, mayBeInTheClear: request.stream?.raw === false });
    if (isRefusal(placed)) return placed;
    notes.push(...placed, ...(note ? [note] : []));
    const wrapping = raw ? wrappingOfRoot(dataset, sourceByName) : undefined;
    for (const step of plan.steps) {
      const own = flagsOf(step, flags);
      if (own.length > 0) step.flags = own;
      if (wrapping) step.wrapping = wrapping;
    }
    const parents = existing ? [] : placeholders.above(item.target);
    const deep = parents.find((parent) => elementsOf(parent) > maxElements);
    if (deep !== undefined) return tooDeep(item, deep, target.host, root);
    return [{ ...first, ...(record !== undefined && { record }), ...(parents.length > 0 && { parents }) }, ...rest];
  }
}

/**
 * What zpsend made above an earlier part of the package is in the way of its own dataset only: the other parts belong there too.
 * Any other dataset was not made for the package, and below it nothing new is put (zrepl#777).
 */
const isPlaceholder = (existing: DatasetEntry | undefined): boolean =>
  existing?.placeholder === true && existing.snapshots.length === 0;

/** Breaks the loops in which a dataset is a clone of what lies below it; refuses origins that go round in a circle. */
function ordered(
  all: readonly Item[],
  context: CloneContext,
  apart: Set<Item>,
  source: { host: string },
): Item[] | Refusal {
  for (;;) {
    const result = inOrderOfNeed(all, (item) => needsOf(item, context));
    if ('order' in result) return result.order;
    const [first] = result.clones;
    if (first === undefined || result.clones.length === result.loop.length) {
      return damaged(source, `shows clones in a circle: ${result.loop.map(({ dataset }) => dataset.name).join(', ')}`);
    }
    apart.add(first);
  }
}

/** What has to be on the target before the first step of a dataset that it lacks. */
function needsOf(item: Item, context: CloneContext): Need<Item>[] {
  if (item.existing?.snapshots.length) return [];
  const needs: Need<Item>[] = [];
  if (item.parent && !item.existing) needs.push({ of: item.parent, kind: 'parent' });
  const inside = context.apart.has(item) ? undefined : originInside(item, context);
  const isThere = inside && heldBy(inside.existing, item.dataset.origin?.guid) !== undefined;
  if (inside && !isThere && !promotedStart(item, context)) needs.push({ of: inside, kind: 'origin' });
  return needs;
}

const renamed = ({ dataset, target }: Item, formerly: string, source: string, host: string): Refusal =>
  refuse(
    'EXISTS',
    `${dataset.name} on ${source} is on ${host} under another name, ${formerly}, and not as ${target}: it was renamed since. ` +
      `Ways out: zfs rename ${formerly} ${target} on ${host} (--conflict rotate does that), and it goes on from there; or, if ${formerly} is something ` +
      `else, send ${dataset.name} there by itself once.`,
    { details: { host, dataset: target, formerly } },
  );

/** What is in it cannot be compared, and nothing is sent into what is not seen. */
const notShown = ({ dataset, target }: Item, source: string, host: string): Refusal =>
  refuse(
    'NOT_ALLOWED',
    `${host} does not show ${source} what is in ${target}, so ${dataset.name} cannot be sent there. If it may, add {from: "${source}", ` +
      `into: "${target}"}, or a dataset above, to receive.allow on ${host}.`,
    { details: { host, dataset: target, source } },
  );

/** On one host the source itself is in the target's listing, and no replica shall hang on it. */
const apartFrom = (root: string, source: Inventory, target: Inventory): Inventory =>
  source.host === target.host
    ? { ...target, datasets: target.datasets.filter(({ name }) => !isWithin(name, root)) }
    : target;

const tooLong = ({ target }: Item, { to }: Step, root: string): Refusal =>
  refuse(
    'BAD_REQUEST',
    `${to.name} would become a snapshot of ${target}, with a name longer than ${maxNameLength} characters. ` +
      `Way out: a shorter target for ${root}.`,
    { details: { dataset: target } },
  );

/** A dataset may be received deeper than its parents can be made. */
const tooDeep = ({ target }: Item, parent: string, host: string, root: string): Refusal =>
  refuse(
    'BAD_REQUEST',
    `${parent} does not exist on ${host}, and with ${elementsOf(parent)} elements it lies too deep to be made above ${target}: zfs ` +
      `creates names of ${maxElements} elements at most. Ways out: a target for ${root} that lies less deep, or send the datasets ` +
      'above too, since what is received may lie deeper.',
    { details: { host, dataset: target, parent, elements: elementsOf(parent), most: maxElements } },
  );
