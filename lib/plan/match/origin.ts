import type { Inventory } from '../../../schemas/inventory.ts';
import { poolOf } from '../../../schemas/names.ts';

/** Finds a snapshot of the target by guid, for a clone that is to be `into`. */
export type SnapshotFinder = (origin: { name: string; guid: string }, into: string) => string | undefined;

/**
 * Finds the target's snapshot to receive a clone from: one with the origin's guid in the pool of `targetName`, since a
 * clone shares its origin's blocks. Among several, as hosts with one golden image have, the one in the nearest place: a
 * backup shall not hang on another host's, nor need leave to clone it. Of those the one that bears the origin's own
 * name, then the first by name.
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

/** How many elements the paths of two names begin with that are the same. */
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
