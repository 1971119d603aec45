import type { DatasetEntry } from '../../schemas/inventory.ts';
import { parentOf } from '../../schemas/names.ts';
import type { Note } from '../../schemas/plan.ts';
import { basesOf } from './bases.ts';
import { type FamilyFinder, findInFamily } from './families.ts';
import type { Chosen, Selection } from './selection.ts';

/** A dataset of the package with its counterpart on the target. */
export interface Item extends Chosen {
  /** The target's name for it: that of its counterpart, or of what is to be made. */
  target: string;
  /** What stands there, oldest first. */
  existing: DatasetEntry | undefined;
  /** The nearest dataset above it that is in the package too. */
  parent: Item | undefined;
  /** Another of the same target name that has the better right to it. */
  rival?: Item;
}

export interface Matched {
  items: Item[];
  /** Looks into the counterparts also of what is left out. */
  findInFamily: FamilyFinder;
  notes: Note[];
}

/**
 * Finds each dataset's counterpart on the target: the one of its name when they have a snapshot in common, else any in the
 * target's tree that has and is nobody else's: the source's was renamed since (zettarepl#359, zrepl#855). The target's
 * keeps its name then, and what is below it stays below it. What is left out keeps its counterpart from others all the same.
 * @param there the target's tree, by name
 */
export function matchTargets(
  { listed, chosen }: Pick<Selection, 'listed' | 'chosen'>,
  sourceRoot: string,
  targetRoot: string,
  there: ReadonlyMap<string, DatasetEntry>,
): Matched {
  const plainName = (name: string): string => `${targetRoot}${name.slice(sourceRoot.length)}`;
  const claimed = new Set<string>();
  for (const dataset of listed.values()) {
    const sameName = there.get(plainName(dataset.name));
    if (sameName && shares(dataset, sameName)) claimed.add(sameName.name);
  }
  const items = new Map<string, Item>();
  const byTarget = new Map<string, Item>();
  const notes: Note[] = [];
  let unclaimed: Map<string, DatasetEntry[]> | undefined;
  for (const one of chosen) {
    const { name } = one.dataset;
    const parent = nearest(items, name);
    const plain = plainName(name);
    let target = parent ? `${parent.target}${name.slice(parent.dataset.name.length)}` : plain;
    if (claimed.has(plain)) target = plain;
    else if (!isCounterpart(one.dataset, there.get(target), claimed)) {
      unclaimed ??= byGuid(there, claimed, targetRoot);
      const renamed = newestHolder(one.dataset, unclaimed, claimed);
      if (renamed !== undefined) {
        notes.push(renamedNote(name, target, renamed));
        target = renamed;
      }
    }
    const existing = there.get(target);
    if (existing && shares(one.dataset, existing)) claimed.add(target);
    const item: Item = { ...one, target, existing, parent };
    items.set(name, item);
    const other = byTarget.get(target);
    // whose counterpart it is has the better right, else who comes first by name
    const [owner, loser] = other && existing && shares(one.dataset, existing) ? [item, other] : [other ?? item, item];
    byTarget.set(target, owner);
    if (loser !== owner) loser.rival = owner;
  }
  const counterpartOf = (name: string) => there.get(items.get(name)?.target ?? plainName(name));
  return { items: [...items.values()], findInFamily: findInFamily(listed, counterpartOf), notes };
}

function addTo<T>(lists: Map<string, T[]>, key: string, value: T): void {
  const list = lists.get(key);
  if (list) list.push(value);
  else lists.set(key, [value]);
}

function nearest(items: ReadonlyMap<string, Item>, name: string): Item | undefined {
  for (let above = parentOf(name); above !== undefined; above = parentOf(above)) {
    const item = items.get(above);
    if (item) return item;
  }
  return undefined;
}

const isCounterpart = (dataset: DatasetEntry, there: DatasetEntry | undefined, claimed: ReadonlySet<string>): boolean =>
  there !== undefined && !claimed.has(there.name) && shares(dataset, there);

/** Have they a snapshot in common, by guid (I4)? */
function shares(source: DatasetEntry, target: DatasetEntry): boolean {
  const newest = target.snapshots.at(-1)?.guid;
  if (newest === undefined) return false;
  if (source.snapshots.at(-1)?.guid === newest) return true;
  const held = new Set(target.snapshots.map((entry) => entry.guid));
  return basesOf(source).some((base) => held.has(base.guid));
}

/** What a renamed dataset may be known as on the target: never the root, which is the request's own. */
function byGuid(
  there: ReadonlyMap<string, DatasetEntry>,
  claimed: ReadonlySet<string>,
  root: string,
): Map<string, DatasetEntry[]> {
  const holders = new Map<string, DatasetEntry[]>();
  for (const dataset of there.values()) {
    if (claimed.has(dataset.name) || dataset.name === root) continue;
    for (const { guid } of dataset.snapshots) addTo(holders, guid, dataset);
  }
  return holders;
}

/** The unclaimed dataset of the target that has the newest of the source's bases; the first by name of several. */
function newestHolder(
  { snapshots, bookmarks }: DatasetEntry,
  holders: ReadonlyMap<string, DatasetEntry[]>,
  claimed: ReadonlySet<string>,
): string | undefined {
  for (const list of [snapshots, bookmarks]) {
    for (const { guid } of list.toReversed()) {
      const free = holders.get(guid)?.find(({ name }) => !claimed.has(name));
      if (free) return free.name;
    }
  }
  return undefined;
}

const renamedNote = (name: string, expected: string, found: string): Note => ({
  kind: 'renamed',
  dataset: name,
  message:
    `${name} was sent under another name before: the target has it as ${found}, and it goes on there. ` +
    `To follow the new name: zfs rename ${found} ${expected} on the target`,
});
