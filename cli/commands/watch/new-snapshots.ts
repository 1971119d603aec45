import type { DatasetEntry } from '../../../schemas/inventory.ts';

/** Guids of the snapshots of each dataset, by its own guid: a dataset that was renamed is the same, and so are its snapshots. */
export type InspectedName = ReadonlyMap<string, ReadonlySet<string>>;

export const seenIn = (datasets: readonly DatasetEntry[]): InspectedName =>
  new Map(datasets.map(({ guid, snapshots }) => [guid, new Set(snapshots.map((snapshot) => snapshot.guid))]));

/** The names of the snapshots that were not seen before, oldest first in each dataset. Of a new dataset that is all it has. */
export const newSnapshots = (before: InspectedName, datasets: readonly DatasetEntry[]): string[] =>
  datasets.flatMap(({ name, guid, snapshots }) =>
    snapshots.filter((snapshot) => !before.get(guid)?.has(snapshot.guid)).map((snapshot) => `${name}@${snapshot.name}`),
  );
