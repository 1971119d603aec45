import type { Inventory } from '../../../schemas/inventory.ts';
import { poolOf } from '../../../schemas/names.ts';

/** Finds a snapshot of the target by guid, for a clone that becomes `targetDataset`. */
export type SnapshotFinder = (origin: { name: string; guid: string }, targetDataset: string) => string | undefined;

/**
 * Finds the target's origin for a clone: a snapshot with the origin's guid in this pool, since a clone shares its
 * origin's blocks. Of several (hosts with one golden image), the nearest in the tree, so that a backup does not depend on another
 * host's; then the one with the origin's own name, then the first by name.
 */
export function findInPool(target: Inventory, pool: string): SnapshotFinder {
  let holders: Map<string, string[]> | undefined;
  return ({ name, guid }, targetDataset) => {
    holders ??= byGuid(target, pool);
    const names = holders.get(guid)?.toSorted() ?? [];
    const nearest = Math.max(...names.map((found) => elementsShared(found, targetDataset)));
    const near = names.filter((found) => elementsShared(found, targetDataset) === nearest);
    return near.find((found) => found === name) ?? near[0];
  };
}

/** The number of leading path elements that two names share. */
function elementsShared(one: string, other: string): number {
  const [a, b] = [one.split(/[/@]/), other.split('/')];
  const differs = a.findIndex((element, at) => element !== b[at]);
  return differs < 0 ? a.length : differs;
}

function byGuid(target: Inventory, pool: string): Map<string, string[]> {
  const holders = new Map<string, string[]>();
  for (const { name, snapshots } of target.datasets) {
    if (poolOf(name) !== pool) continue;
    for (const snapshot of snapshots) {
      const full = `${name}@${snapshot.name}`;
      const others = holders.get(snapshot.guid);
      if (others) others.push(full);
      else holders.set(snapshot.guid, [full]);
    }
  }
  return holders;
}
