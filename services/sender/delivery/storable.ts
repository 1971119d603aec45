import type { DatasetPlan } from '../../../lib/plan/dataset-plan.ts';
import { compareWrappings } from '../../../lib/plan/placement/key-wrapping.ts';
import { type Refusal, refuse } from '../../../lib/plan/refusal.ts';
import type { DatasetEntry, Inventory } from '../../../schemas/inventory.ts';
import { datasetOf } from '../../../schemas/names.ts';
import type { Step } from '../../../schemas/plan.ts';
import { needsOf } from '../planning/dependencies.ts';

/** Target datasets, by name, for which too little is known to store streams. */
export interface Unsettled {
  /** Their initial flags, or their keys, are not known. */
  readonly unsure: ReadonlySet<string>;
  /** Only the wrapping of their key is known. */
  readonly unseenKeys: ReadonlySet<string>;
  /** They would get another key, and which datasets inherit their key is not known. */
  readonly newKeys: ReadonlySet<string>;
}

/**
 * The plans that may be stored. The others are refused, with those that need them. Each raw step names the key that it may replace.
 * @param target the predicted target
 */
export function storable(plans: readonly DatasetPlan[], target: Inventory, unsettled: Unsettled): DatasetPlan[] {
  const { host } = target;
  const there = new Map(target.datasets.map((entry) => [entry.name, entry]));
  const needs = needsOf(plans);
  const kept: DatasetPlan[] = [];
  const notStored = new Map<number, string>();
  for (const [at, plan] of plans.entries()) {
    const lacking = needs[at]?.map(({ chain }) => notStored.get(chain)).find((name) => name !== undefined);
    const own = refusalOf(plan, host, unsettled, there);
    const refusal = own ?? (lacking === undefined ? undefined : notWithout(plan, lacking, host));
    if (refusal) notStored.set(at, plan.sourceDataset);
    kept.push(refusal ? { ...plan, steps: [], refusal } : { ...plan, steps: replacing(plan.steps, there) });
  }
  return kept;
}

type Listed = ReadonlyMap<string, DatasetEntry>;

/** The dataset whose key a step replaces; undefined if it creates a new key. A clone shares the key of its origin. */
const keptBy = ({ from, origin, targetDataset }: Step): string | undefined =>
  origin === undefined ? from && targetDataset : datasetOf(origin);

/** All steps of a chain bring the same key. */
const replacing = (steps: readonly Step[], there: Listed): Step[] =>
  steps.map((step, at) => {
    const holder = keptBy(step);
    if (step.wrapping === undefined || holder === undefined) return step;
    const replaces = at > 0 ? step.wrapping : there.get(holder)?.wrapping;
    return replaces ? { ...step, replaces } : step;
  });

function refusalOf(
  plan: DatasetPlan,
  host: string,
  { unsure, unseenKeys, newKeys }: Unsettled,
  there: Listed,
): Refusal | undefined {
  const [first] = plan.steps;
  if (!first) return undefined;
  const holder = keptBy(first);
  if (unsure.has(plan.targetDataset) || (holder !== undefined && unsure.has(holder))) return ofUnsure(plan, host);
  // an unchanged key locks no dataset out
  const isKept = compareWrappings(first.wrapping, there.get(holder ?? '')?.wrapping) === 'same';
  if (first.wrapping && holder !== undefined && unseenKeys.has(holder) && !isKept) return ofNewKey(plan, host);
  return newKeys.has(plan.targetDataset) ? ofNewKey(plan, host) : undefined;
}

/**
 * Nothing is stored for a chain whose initial flags are not known: a change of large blocks has zeroed files (openzfs#6224), and a
 * raw stream may bring a key that locks out the datasets which inherit it there.
 */
function ofUnsure({ sourceDataset, targetDataset, steps }: DatasetPlan, host: string): Refusal {
  const isRaw = steps.some(({ flags }) => flags?.includes('raw'));
  const unknown = isRaw
    ? `which keys ${targetDataset} on ${host} has`
    : `whether ${targetDataset} on ${host} began with large blocks`;
  const flags = isRaw ? '' : ', or with --large-block or --no-large-block, as it began';
  return refuse(
    'UNSUPPORTED',
    `this host does not know ${unknown}, so nothing is stored for ${sourceDataset}. Send it with --channel auto while ${host} is online${flags}.`,
    { details: { host, dataset: targetDataset, reason: isRaw ? 'keys-unknown' : 'blocks-unknown' } },
  );
}

/** Since its last listing another dataset may inherit its key there (`zfs change-key -i`), and would be locked out. */
const ofNewKey = ({ sourceDataset, targetDataset }: DatasetPlan, host: string): Refusal =>
  refuse(
    'UNSUPPORTED',
    `${sourceDataset} had a change-key, or may have had one. Datasets that inherit the key of ${targetDataset} on ${host} could not be unlocked any more, ` +
      `and this host does not know them, so nothing is stored for ${sourceDataset}. Send it once with --channel auto or direct while ${host} is online.`,
    { details: { host, dataset: targetDataset, reason: 'new-key' } },
  );

const notWithout = ({ sourceDataset, targetDataset }: DatasetPlan, needed: string, host: string): Refusal =>
  refuse(
    'UNSUPPORTED',
    `${sourceDataset} needs ${needed} on ${host} first, for which nothing is stored. Send both once with --channel auto or direct while ` +
      `${host} is online.`,
    { details: { host, dataset: targetDataset, needs: needed } },
  );
