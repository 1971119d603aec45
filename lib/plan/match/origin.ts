import type { Inventory } from '../../../schemas/inventory.ts';
import { poolOf } from '../../../schemas/names.ts';

/** Finds a snapshot of the target by guid, for a clone with the name `into`. */
export type SnapshotFinder = (origin: { name: string; guid: string }, into: string) => string | undefined;

/**
 * Finds the target's origin for a clone: a snapshot with the origin's guid in the pool of `targetName`, since a clone shares its
 * origin's blocks. Of several (hosts with one golden image), the nearest in the tree, so that a backup does not depend on another
 * host's; then the one with the origin's own name, then the first by name.
 */
export function findInPool(target: Inventory, targetName: string): SnapshotFinder {
  const pool = poolOf(targetName);
  let holders: Map<string, string[]> | undefined;
  return ({ name, guid }, into) => {
    holders ??= byGuid(target, pool);
    const names = holders.get(guid)?.toSorted() ?? [];
    const nearest = Math.max(...names.map((found) => elementsShared(found, into)));
    const near = names.filter((found) => elementsShared(found, into) === nearest);
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
