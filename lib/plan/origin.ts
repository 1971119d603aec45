import type { Inventory } from '../../schemas/inventory.ts';
import { poolOf } from '../../schemas/names.ts';

/** Finds a snapshot of the target by guid. */
export type SnapshotFinder = (origin: { name: string; guid: string }) => string | undefined;

/**
 * Finds the target's snapshot to receive a clone from: one with the origin's guid in the pool of `targetName`, since a
 * clone shares its origin's blocks. Among several, the one that bears the origin's own name, then the first by name.
 */
export function findInPool(target: Inventory, targetName: string): SnapshotFinder {
  const pool = poolOf(targetName);
  let holders: Map<string, string[]> | undefined;
  return ({ name, guid }) => {
    holders ??= byGuid(target, pool);
    const names = holders.get(guid)?.toSorted() ?? [];
    return names.find((found) => found === name) ?? names[0];
  };
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
