import type { DatasetEntry } from '../../../schemas/inventory.ts';
import { isWithin, parentOf } from '../../../schemas/names.ts';
import { basesOf } from '../inventory/bases.ts';
import type { Chosen, Selection } from '../request/selection.ts';
import { type FamilyFinder, findInFamily } from './clone-families.ts';
import { originalNameOf } from './rotated-name.ts';

/** A dataset of the package with its counterpart on the target. */
export interface Item extends Chosen {
  /** The target's name for it. */
  targetDataset: string;
  /** What stands there, oldest first. */
  existing: DatasetEntry | undefined;
  /** The nearest dataset above it that is in the package too. */
  parent: Item | undefined;
  /** Where the target lacks it: one beside its like that has a snapshot of it, and that no dataset of the source answers to. */
  previousName?: string;
}

export interface Matched {
  items: Item[];
  /** Looks into the counterparts also of what is left out. */
  findInFamily: FamilyFinder;
  /** Looks only into the counterparts of what is chosen. */
  findInPackage: FamilyFinder;
  /** The source's dataset that a name on the target stands for, also where it is left out. */
  sourceOf: (target: string) => string | undefined;
}

/**
 * Finds each dataset's counterpart on the target, the one of its name, or where it stands under the name that it had
 * before (zettarepl#359, zrepl#855). That is only ever told: another host may have written there, from the same image.
 * @param there the target's tree, by name
 */
export function matchTargets(
  { listed, chosen }: Pick<Selection, 'listed' | 'chosen'>,
  sourceRoot: string,
  targetRoot: string,
  there: ReadonlyMap<string, DatasetEntry>,
): Matched {
  const targetName = (name: string): string => `${targetRoot}${name.slice(sourceRoot.length)}`;
  const family = findInFamily(listed, (name) => there.get(targetName(name)));
  let unclaimed: Map<string, string> | undefined;

  /** A snapshot that a promotion has moved within the family has no new name. */
  function formerName({ name, snapshots }: DatasetEntry): string | undefined {
    unclaimed ??= byGuid(there, claimedBy(listed, targetName, there));
    for (const { guid } of snapshots.toReversed()) {
      const holder = unclaimed.get(guid);
      if (holder !== undefined && family(name, guid) === undefined) return holder;
    }
    return undefined;
  }

  const items = new Map<string, Item>();
  for (const one of chosen) {
    const { name } = one.dataset;
    const target = targetName(name);
    const existing = there.get(target);
    const previousName = existing ? undefined : formerName(one.dataset);
    const parent = nearest(items, name);
    items.set(name, {
      ...one,
      targetDataset: target,
      existing,
      parent,
      ...(previousName !== undefined && { previousName }),
    });
  }
  const findInPackage = findInFamily(listed, (name) => items.get(name)?.existing);
  const sourceOf = (target: string): string | undefined => {
    const name = isWithin(target, targetRoot) ? `${sourceRoot}${target.slice(targetRoot.length)}` : undefined;
    return name !== undefined && listed.has(name) ? name : undefined;
  };
  return { items: [...items.values()], findInFamily: family, findInPackage, sourceOf };
}

function nearest(items: ReadonlyMap<string, Item>, name: string): Item | undefined {
  for (let above = parentOf(name); above !== undefined; above = parentOf(above)) {
    const item = items.get(above);
    if (item) return item;
  }
  return undefined;
}

/**
 * The target's datasets that answer to the source's of their name, also to what is left out: those with a snapshot in common,
 * and those without any, which only hold others.
 */
function claimedBy(
  listed: ReadonlyMap<string, DatasetEntry>,
  targetName: (name: string) => string,
  there: ReadonlyMap<string, DatasetEntry>,
): Set<string> {
  const claimed = new Set<string>();
  for (const dataset of listed.values()) {
    const sameName = there.get(targetName(dataset.name));
    if (sameName && (sameName.snapshots.length === 0 || shares(dataset, sameName))) claimed.add(sameName.name);
  }
  return claimed;
}

/** Have they a snapshot in common, by guid (I4)? */
function shares(source: DatasetEntry, target: DatasetEntry): boolean {
  const newest = target.snapshots.at(-1)?.guid;
  if (newest === undefined) return false;
  if (source.snapshots.at(-1)?.guid === newest) return true;
  const held = new Set(target.snapshots.map((entry) => entry.guid));
  return basesOf(source).some((base) => held.has(base.guid));
}

/**
 * What a renamed dataset may be known as on the target, the first by name of several. It lies in a dataset that answers to one of
 * the source's: what lies elsewhere below the root is another backup. What was renamed aside has not been renamed at the source.
 */
function byGuid(there: ReadonlyMap<string, DatasetEntry>, claimed: ReadonlySet<string>): Map<string, string> {
  const holders = new Map<string, string>();
  for (const { name, snapshots } of there.values()) {
    if (claimed.has(name) || !claimed.has(parentOf(name) ?? '') || originalNameOf(name) !== undefined) continue;
    for (const { guid } of snapshots) if (!holders.has(guid)) holders.set(guid, name);
  }
  return holders;
}
