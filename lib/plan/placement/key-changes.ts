import type { DatasetEntry, Inventory, KeyWrapping } from '../../../schemas/inventory.ts';
import { datasetOf } from '../../../schemas/names.ts';
import type { Step } from '../../../schemas/plan.ts';
import type { DatasetPlan } from '../dataset-plan.ts';
import { compareWrappings, keyHolder, type Sameness, wrappingOfRoot } from './key-wrapping.ts';

/** The wrapped key that raw steps bring to the target. */
export interface Brought {
  /** Plans that bring it; empty if steps of the running job have already brought it. */
  plans: DatasetPlan[];
  /** The encryption root at the source whose key wraps it. */
  root: string;
  wrapping: KeyWrapping | undefined;
}

/** A dataset of the target that inherits its key from another one there. */
export interface Inheritor {
  dataset: DatasetEntry;
  root: string;
  /** The present wrapping of the root's key. */
  rootNow: KeyWrapping | undefined;
  /** Does the root's key open the dataset after the plan? */
  after: Sameness;
  /** Does it now? */
  before: Sameness;
  own: Brought | undefined;
  fromRoot: Brought | undefined;
}

export interface KeyChanges {
  inheritors: Inheritor[];
  /** The key that the plan brings to the dataset of that name on the target, or to a clone that shares its key. */
  broughtTo(name: string): Brought | undefined;
}

/**
 * How raw steps change the keys on a target. A step brings its dataset's key as the source's encryption root wraps it while
 * `zfs send` runs. `zfs receive` overwrites the target's key with it, even if that dataset inherits from a root on the target. If the
 * root's key then does not open it, no key does (openzfs#12614).
 * @param arrived raw steps of the same job that have arrived on the target
 */
export function keyChanges(
  plans: readonly DatasetPlan[],
  source: Inventory,
  target: Inventory,
  arrived: readonly Step[],
): KeyChanges {
  const [from, there] = [byName(source), byName(target)];
  const brought = new Map<string, Brought>();
  const made = new Map<string, string>();

  function bring({ flags, to, targetDataset, origin }: Step, plan?: DatasetPlan): void {
    const dataset = from.get(datasetOf(to.name));
    if (!dataset || !flags?.includes('raw')) return;
    const holder = holderOf(there.has(targetDataset) || origin === undefined ? targetDataset : datasetOf(origin));
    if (!there.has(targetDataset)) made.set(targetDataset, holder);
    const before = brought.get(holder);
    const root = dataset.encryptionRoot ?? dataset.name;
    brought.set(holder, {
      plans: [...(before?.plans ?? []), ...(plan ? [plan] : [])],
      root,
      wrapping: wrappingOfRoot(dataset, from),
    });
  }
  const holderOf = (name: string): string => made.get(name) ?? keyHolder(name, there);

  for (const step of arrived) bring(step);
  for (const plan of plans) if (plan.steps[0]) bring(plan.steps[0], plan);
  const broughtTo = (name: string) => brought.get(holderOf(name));

  const inheritors: Inheritor[] = [];
  for (const dataset of there.values()) {
    const { name, encryptionRoot: root } = dataset;
    if (root === undefined || holderOf(root) === holderOf(name)) continue;
    const [own, fromRoot] = [broughtTo(name), broughtTo(root)];
    const rootNow = wrappingOfRoot(dataset, there);
    const before = compareWrappings(dataset.wrapping, rootNow);
    const compared = compareWrappings(
      isToCome(own) ? own.wrapping : dataset.wrapping,
      isToCome(fromRoot) ? fromRoot.wrapping : rootNow,
    );
    // one key opens all datasets that one root at the source wraps
    const isOne = compared === 'unknown' && own !== undefined && own.root === fromRoot?.root;
    const after = isOne || (!isToCome(own) && !isToCome(fromRoot)) ? 'same' : compared;
    inheritors.push({ dataset, root, rootNow, after, before, own, fromRoot });
  }
  return { inheritors, broughtTo };
}

export const isToCome = (brought: Brought | undefined): brought is Brought => (brought?.plans.length ?? 0) > 0;

/** Is its first step a raw stream? Then all its steps are. */
export const isRaw = ({ steps: [first] }: DatasetPlan): boolean => first?.flags?.includes('raw') ?? false;

export const byName = ({ datasets }: Inventory): Map<string, DatasetEntry> =>
  new Map(datasets.map((dataset) => [dataset.name, dataset]));
