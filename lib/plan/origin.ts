import type { Inventory } from '../../schemas/inventory.ts';
import { datasetOf } from '../../schemas/names.ts';

/**
 * The target's snapshot to receive a clone from: one with the origin's guid in the pool of `targetName`, since a clone
 * shares its origin's blocks. Among several, the one that bears the origin's own name, then the first by name.
 */
export function originOnTarget(
  target: Inventory,
  targetName: string,
  origin: { name: string | undefined; guid: string },
): string | undefined {
  const pool = poolOf(targetName);
  const names = target.datasets
    .filter((dataset) => poolOf(dataset.name) === pool)
    .flatMap((dataset) => {
      const held = dataset.snapshots.find((entry) => entry.guid === origin.guid);
      return held ? [`${dataset.name}@${held.name}`] : [];
    })
    .toSorted();
  return names.find((name) => name === origin.name) ?? names[0];
}

const poolOf = (named: string): string => datasetOf(named).split('/', 1)[0] ?? named;
