import type { DatasetEntry } from '../../../schemas/inventory.ts';
import { isWithin, parentOf } from '../../../schemas/names.ts';
import { basesOf } from '../inventory/bases.ts';
import type { JobContext } from '../request/job-context.ts';
import type { Chosen, Selection } from '../request/selection.ts';
import { type FamilyFinder, findInFamily } from './clone-families.ts';
import { originalNameOf } from './rotated-name.ts';

/** A dataset of the package, with its counterpart on the target. */
export interface Item extends Chosen {
  /** The target's name for it. */
  targetDataset: string;
  /** The target's dataset of that name, with its snapshots oldest first. */
  existing: DatasetEntry | undefined;
  /** The nearest ancestor that is in the package too. */
  parent: Item | undefined;
  /** If the target lacks it: a dataset there that has one of its snapshots, and that no other dataset of the source corresponds to. */
  previousName?: string;
}

export interface Matched {
  items: Item[];
  /** Searches the counterparts of all listed datasets. */
  findInFamily: FamilyFinder;
  /** Searches only the counterparts of chosen datasets. */
  findInPackage: FamilyFinder;
  /** The source's dataset that corresponds to a name on the target, even if it is not chosen. */
  sourceDatasetOf: (targetDataset: string) => string | undefined;
}

/**
 * Finds each dataset's counterpart on the target by name, or its previous name there (zettarepl#359, zrepl#855). A previous name
 * is only reported: another host may have written there, from the same image.
 * @param there the target's tree, by name
 */
export function matchTargets(
  { listed, chosen }: Pick<Selection, 'listed' | 'chosen'>,
  context: Pick<JobContext, 'sourceDataset' | 'targetDataset'>,
  there: ReadonlyMap<string, DatasetEntry>,
): Matched {
  const targetDatasetFor = (sourceDataset: string): string =>
    `${context.targetDataset}${sourceDataset.slice(context.sourceDataset.length)}`;
  const family = findInFamily(listed, (name) => there.get(targetDatasetFor(name)));
  let unclaimed: Map<string, string> | undefined;

  /** Ignores snapshots that a promotion has moved within the family. */
  function previousNameOf({ name, snapshots }: DatasetEntry): string | undefined {
    unclaimed ??= byGuid(there, claimedBy(listed, targetDatasetFor, there));
    for (const { guid } of snapshots.toReversed()) {
      const holder = unclaimed.get(guid);
      if (holder !== undefined && family(name, guid) === undefined) return holder;
    }
    return undefined;
  }

  const items = new Map<string, Item>();
  for (const one of chosen) {
    const { name } = one.dataset;
    const targetDataset = targetDatasetFor(name);
    const existing = there.get(targetDataset);
    const previousName = existing ? undefined : previousNameOf(one.dataset);
    const parent = nearest(items, name);
    items.set(name, {
      ...one,
      targetDataset,
      existing,
      parent,
      ...(previousName !== undefined && { previousName }),
    });
  }
  const findInPackage = findInFamily(listed, (name) => items.get(name)?.existing);
  const sourceDatasetOf = (targetDataset: string): string | undefined => {
    if (!isWithin(targetDataset, context.targetDataset)) return undefined;
    const sourceDataset = `${context.sourceDataset}${targetDataset.slice(context.targetDataset.length)}`;
    return listed.has(sourceDataset) ? sourceDataset : undefined;
  };
  return { items: [...items.values()], findInFamily: family, findInPackage, sourceDatasetOf };
}

function nearest(items: ReadonlyMap<string, Item>, name: string): Item | undefined {
  for (let above = parentOf(name); above !== undefined; above = parentOf(above)) {
    const item = items.get(above);
    if (item) return item;
  }
  return undefined;
}

/** The target's datasets that correspond to the source's dataset of their name: with a common snapshot, or without any snapshot. */
function claimedBy(
  listed: ReadonlyMap<string, DatasetEntry>,
  targetDatasetFor: (sourceDataset: string) => string,
  there: ReadonlyMap<string, DatasetEntry>,
): Set<string> {
  const claimed = new Set<string>();
  for (const dataset of listed.values()) {
    const sameName = there.get(targetDatasetFor(dataset.name));
    if (sameName && (sameName.snapshots.length === 0 || shares(dataset, sameName))) claimed.add(sameName.name);
  }
  return claimed;
}

/** Do they have a common snapshot, by guid (I4)? */
function shares(source: DatasetEntry, target: DatasetEntry): boolean {
  const newest = target.snapshots.at(-1)?.guid;
  if (newest === undefined) return false;
  if (source.snapshots.at(-1)?.guid === newest) return true;
  const onTarget = new Set(target.snapshots.map((entry) => entry.guid));
  return basesOf(source).some((base) => onTarget.has(base.guid));
}

/**
 * Possible previous names on the target, by the guids of their snapshots; the first by name of several. Only children of corresponding
 * datasets: others below the root are other backups. Not rotated datasets, which were not renamed at the source.
 */
function byGuid(there: ReadonlyMap<string, DatasetEntry>, claimed: ReadonlySet<string>): Map<string, string> {
  const holders = new Map<string, string>();
  for (const { name, snapshots } of there.values()) {
    if (claimed.has(name) || !claimed.has(parentOf(name) ?? '') || originalNameOf(name) !== undefined) continue;
    for (const { guid } of snapshots) if (!holders.has(guid)) holders.set(guid, name);
  }
  return holders;
}
