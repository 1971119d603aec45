import type { DatasetEntry, Inventory } from '../../../schemas/inventory.ts';
import { elementsOf, leafOf, maxElements, maxNameLength } from '../../../schemas/names.ts';
import type { Note, SendRequest, Step } from '../../../schemas/plan.ts';
import { lastOf, startFromRotated } from '../conflict/rotate.ts';
import type { Item } from '../match/match-targets.ts';
import { wrappingOfRoot } from '../placement/key-wrapping.ts';
import type { Placeholders } from '../placement/placeholders.ts';
import { isRefusal, type Refusal, refuse } from '../refusal.ts';
import { placesBelow } from '../request/target-name.ts';
import { blockedBy, type CloneContext, seedStart } from './clones.ts';
import { datasetSteps } from './dataset-steps.ts';
import { redactedIn } from './redacted.ts';
import { flagsOf, type Streamed, type Streams } from './stream-flags.ts';

/** What the plan of one dataset depends on; `placeholders` and `streamsOf` remember the datasets that were planned before it. */
export interface ItemPlanning {
  readonly request: SendRequest;
  readonly source: Inventory;
  readonly target: Inventory;
  readonly context: CloneContext;
  readonly placeholders: Placeholders;
  readonly sourceByName: ReadonlyMap<string, DatasetEntry>;
  readonly streamsOf: (streamed: Streamed) => Streams | Refusal;
  readonly noted: (notes: readonly Note[]) => void;
}

/** Plans the steps of one dataset, or refuses it; what it needs is planned before it. */
export function itemSteps(item: Item, planning: ItemPlanning): Step[] | Refusal {
  const { request, source, target, context, placeholders } = planning;
  const { root } = context;
  const { parent, existing, dataset } = item;
  const obstacle = parent && !existing && !isPlaceholder(parent.existing) ? obstacleIn(parent, context) : undefined;
  if (parent && obstacle) return blockedBy(item, parent, obstacle, 'lies below it');
  if (item.previousName !== undefined) return renamed(item, item.previousName, source.host, target.host);
  if (existing?.withheld && lastOf(item.wanted)) return notShown(item, source.host, target.host);
  // with -c nothing outside the package is an origin
  const isRotated = request.conflict === 'rotate' && !request.selfContained;
  const plan = datasetSteps({
    source: { host: source.host, dataset },
    target: { host: target.host, name: item.targetDataset, dataset: existing },
    wanted: item.wanted,
    below: dataset.name === root ? placesBelow(request) : [],
    seedStart: () => (isRotated && startFromRotated(item, target)) || seedStart(item, context),
  });
  if (!plan.ok) return plan;
  const long = plan.steps.find(
    ({ to }) => item.targetDataset.length + 1 + (leafOf(to.name) ?? '').length > maxNameLength,
  );
  if (long) return tooLong(item, long, root);
  const [first, ...rest] = plan.steps;
  if (first === undefined) return plan.steps;
  const sides = {
    source: { host: source.host, dataset },
    target: { host: target.host, name: item.targetDataset, existing },
  };
  const redacted = redactedIn({ ...sides, steps: plan.steps }, target);
  if (redacted) return redacted;
  const one = { name: item.targetDataset, source: { host: source.host, dataset }, origin: first.origin };
  const streams = planning.streamsOf({ ...one, existing });
  if (isRefusal(streams)) return streams;
  const { flags, record, note } = streams;
  const raw = flags.includes('raw');
  const embed = flags.includes('embed');
  const placed = placeholders.place({ ...one, raw, embed, mayBeInTheClear: request.stream?.raw === false });
  if (isRefusal(placed)) return placed;
  planning.noted([...placed, ...(note ? [note] : [])]);
  const wrapping = raw ? wrappingOfRoot(dataset, planning.sourceByName) : undefined;
  for (const step of plan.steps) {
    const own = flagsOf(step, flags);
    if (own.length > 0) step.flags = own;
    if (wrapping) step.wrapping = wrapping;
  }
  const parents = existing ? [] : placeholders.above(item.targetDataset);
  const deep = parents.find((parent) => elementsOf(parent) > maxElements);
  if (deep !== undefined) return tooDeep(item, deep, target.host, root);
  return [{ ...first, ...(record !== undefined && { record }), ...(parents.length > 0 && { parents }) }, ...rest];
}

/** Where the parent is there, and is the one that belongs there, its own key and flags hinder nothing below it. */
function obstacleIn(parent: Item, { refusalOf }: CloneContext): Refusal | undefined {
  const refusal = refusalOf(parent);
  const code = refusal?.error.code;
  return parent.existing && (code === 'KEY_REQUIRED' || code === 'UNSUPPORTED') ? undefined : refusal;
}

/**
 * What zpsend made above an earlier part of the package is in the way of its own dataset only: the other parts belong there too.
 * Any other dataset was not made for the package, and below it nothing new is put (zrepl#777).
 */
const isPlaceholder = (existing: DatasetEntry | undefined): boolean =>
  existing?.placeholder === true && existing.snapshots.length === 0;

const renamed = ({ dataset, targetDataset }: Item, previousName: string, source: string, host: string): Refusal =>
  refuse(
    'EXISTS',
    `${dataset.name} on ${source} is on ${host} under another name, ${previousName}, and not as ${targetDataset}: it was renamed since. ` +
      `Ways out: zfs rename ${previousName} ${targetDataset} on ${host} (--conflict rotate does that), and it goes on from there; or, if ${previousName} is something ` +
      `else, send ${dataset.name} there by itself once.`,
    { details: { host, dataset: targetDataset, previousName } },
  );

/** What is in it cannot be compared, and nothing is sent into what is not seen. */
const notShown = ({ dataset, targetDataset }: Item, source: string, host: string): Refusal =>
  refuse(
    'NOT_ALLOWED',
    `${host} does not show ${source} what is in ${targetDataset}, so ${dataset.name} cannot be sent there. If it may, add {from: "${source}", ` +
      `into: "${targetDataset}"}, or a dataset above, to receive.allow on ${host}.`,
    { details: { host, dataset: targetDataset, source } },
  );

const tooLong = ({ targetDataset }: Item, { to }: Step, root: string): Refusal =>
  refuse(
    'BAD_REQUEST',
    `${to.name} would become a snapshot of ${targetDataset}, with a name longer than ${maxNameLength} characters. ` +
      `Way out: a shorter target for ${root}.`,
    { details: { dataset: targetDataset } },
  );

/** A dataset may be received deeper than its parents can be made. */
const tooDeep = ({ targetDataset }: Item, parent: string, host: string, root: string): Refusal =>
  refuse(
    'BAD_REQUEST',
    `${parent} does not exist on ${host}, and with ${elementsOf(parent)} elements it lies too deep to be made above ${targetDataset}: zfs ` +
      `creates names of ${maxElements} elements at most. Ways out: a target for ${root} that lies less deep, or send the datasets ` +
      'above too, since what is received may lie deeper.',
    { details: { host, dataset: targetDataset, parent, elements: elementsOf(parent), most: maxElements } },
  );
