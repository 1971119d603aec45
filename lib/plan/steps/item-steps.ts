import type { DatasetEntry, Inventory } from '../../../schemas/inventory.ts';
import { elementsOf, leafOf, maxElements, maxNameLength } from '../../../schemas/names.ts';
import type { Note, Step } from '../../../schemas/plan.ts';
import { lastOf, startFromRotated } from '../conflict/rotate.ts';
import type { Item } from '../match/match-targets.ts';
import { wrappingOfRoot } from '../placement/key-wrapping.ts';
import type { Placeholders } from '../placement/placeholders.ts';
import { isRefusal, type Refusal, refuse } from '../refusal.ts';
import type { JobContext } from '../request/job-context.ts';
import { appendedTargets } from '../request/target-name.ts';
import { blockedBy, type CloneContext, seedStart } from './clones.ts';
import { datasetSteps } from './dataset-steps.ts';
import { redactedIn } from './redacted.ts';
import { flagsOf, type Streamed, type Streams } from './stream-flags.ts';

/** The inputs of the plan of one dataset; `placeholders` and `streamsOf` remember the datasets that were planned before it. */
export interface ItemPlanning {
  readonly job: JobContext;
  readonly source: Inventory;
  readonly target: Inventory;
  readonly context: CloneContext;
  readonly placeholders: Placeholders;
  readonly sourceByName: ReadonlyMap<string, DatasetEntry>;
  readonly streamsOf: (streamed: Streamed) => Streams | Refusal;
  readonly addNotes: (notes: readonly Note[]) => void;
}

/** Plans the steps of one dataset, or refuses it. Its parent and origin are already planned. */
export function itemSteps(item: Item, planning: ItemPlanning): Step[] | Refusal {
  const { job, source, target, context, placeholders } = planning;
  const { request } = job;
  const { sourceDataset } = context;
  const { parent, existing, dataset, targetDataset } = item;
  const obstacle = parent && !existing && !isPlaceholder(parent.existing) ? obstacleIn(parent, context) : undefined;
  if (parent && obstacle) return blockedBy(item, parent, obstacle, `is a descendant of ${parent.dataset.name}`);
  if (item.previousName !== undefined) return renamed(item, item.previousName, source.host, target.host);
  if (existing?.withheld && lastOf(item.wanted)) return notShown(item, source.host, target.host);
  // with -c no snapshot outside the package can be an origin
  const isRotated = request.conflict === 'rotate' && !request.selfContained;
  const plan = datasetSteps({
    source: { host: source.host, dataset },
    target: { host: target.host, dataset: existing },
    targetDataset,
    wanted: item.wanted,
    below: dataset.name === sourceDataset ? appendedTargets(job) : [],
    seedStart: () => (isRotated && startFromRotated(item, target)) || seedStart(item, context),
  });
  if (!plan.ok) return plan;
  const long = plan.steps.find(({ to }) => targetDataset.length + 1 + (leafOf(to.name) ?? '').length > maxNameLength);
  if (long) return tooLong(item, long, sourceDataset);
  const [first, ...rest] = plan.steps;
  if (first === undefined) return plan.steps;
  const sides = {
    source: { host: source.host, dataset },
    target: { host: target.host, existing },
  };
  const redacted = redactedIn({ ...sides, steps: plan.steps }, target);
  if (redacted) return redacted;
  const one = { targetDataset, source: { host: source.host, dataset }, origin: first.origin };
  const streams = planning.streamsOf({ ...one, existing });
  if (isRefusal(streams)) return streams;
  const { flags, record, note } = streams;
  const raw = flags.includes('raw');
  const embed = flags.includes('embed');
  const placed = placeholders.place({ ...one, raw, embed, mayBeUnencrypted: request.stream?.raw === false });
  if (isRefusal(placed)) return placed;
  planning.addNotes([...placed, ...(note ? [note] : [])]);
  const wrapping = raw ? wrappingOfRoot(dataset, planning.sourceByName) : undefined;
  for (const step of plan.steps) {
    const own = flagsOf(step, flags);
    if (own.length > 0) step.flags = own;
    if (wrapping) step.wrapping = wrapping;
  }
  const parents = existing ? [] : placeholders.above(targetDataset);
  const deep = parents.find((parent) => elementsOf(parent) > maxElements);
  if (deep !== undefined) return tooDeep(item, deep, target.host, sourceDataset);
  return [{ ...first, ...(record !== undefined && { record }), ...(parents.length > 0 && { parents }) }, ...rest];
}

/** The refusal of the parent, unless it exists on the target and only its own key or flags are refused. */
function obstacleIn(parent: Item, { refusalOf }: CloneContext): Refusal | undefined {
  const refusal = refusalOf(parent);
  const code = refusal?.error.code;
  return parent.existing && (code === 'KEY_REQUIRED' || code === 'UNSUPPORTED') ? undefined : refusal;
}

/**
 * A placeholder of an earlier part of the package blocks only its own dataset: new datasets may be received below it. zpsend receives no
 * new dataset below any other existing dataset that is refused (zrepl#777).
 */
const isPlaceholder = (existing: DatasetEntry | undefined): boolean =>
  existing?.placeholder === true && existing.snapshots.length === 0;

const renamed = ({ dataset, targetDataset }: Item, previousName: string, source: string, host: string): Refusal =>
  refuse(
    'EXISTS',
    `${dataset.name} on ${source} was renamed: its replica on ${host} is ${previousName}, not ${targetDataset}. ` +
      `To fix: zfs rename ${previousName} ${targetDataset} on ${host} (--conflict rotate does that), then send again; or, if ${previousName} is ` +
      `another dataset, send ${dataset.name} once without -R.`,
    { details: { host, dataset: targetDataset, previousName } },
  );

/** The target does not show the dataset's snapshots, so they cannot be compared. */
const notShown = ({ dataset, targetDataset }: Item, source: string, host: string): Refusal =>
  refuse(
    'NOT_ALLOWED',
    `${host} does not show ${source} the snapshots of ${targetDataset}, so ${dataset.name} cannot be sent there. To allow it, add {from: "${source}", ` +
      `into: "${targetDataset}"}, or an ancestor, to receive.allow on ${host}.`,
    { details: { host, dataset: targetDataset, source } },
  );

const tooLong = ({ targetDataset }: Item, { to }: Step, sourceDataset: string): Refusal =>
  refuse(
    'BAD_REQUEST',
    `${to.name} would become a snapshot of ${targetDataset}, with a name longer than ${maxNameLength} characters. ` +
      `To fix: choose a shorter target for ${sourceDataset}.`,
    { details: { dataset: targetDataset } },
  );

/** `zfs receive` creates datasets at a greater depth than `zfs create`. */
const tooDeep = ({ targetDataset }: Item, parent: string, host: string, sourceDataset: string): Refusal =>
  refuse(
    'BAD_REQUEST',
    `${parent}, a parent of ${targetDataset}, does not exist on ${host} and cannot be created: it has ${elementsOf(parent)} elements, and zfs ` +
      `create accepts at most ${maxElements}. To fix: choose a target for ${sourceDataset} with fewer elements, or send the parent ` +
      'datasets too, because zfs receive creates deeper ones.',
    { details: { host, dataset: targetDataset, parent, elements: elementsOf(parent), most: maxElements } },
  );
