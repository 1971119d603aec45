import type { DatasetEntry } from '../../../schemas/inventory.ts';

/** The guids of the snapshots of each dataset, by the guid of the dataset: a renamed dataset has no new snapshots. */
export type ListedSnapshots = ReadonlyMap<string, ReadonlySet<string>>;

export const snapshotsIn = (datasets: readonly DatasetEntry[]): ListedSnapshots =>
  new Map(datasets.map(({ guid, snapshots }) => [guid, new Set(snapshots.map((snapshot) => snapshot.guid))]));

/** The names of the new snapshots, oldest first in each dataset. All snapshots of a new dataset are new. */
export const newSnapshots = (before: ListedSnapshots, datasets: readonly DatasetEntry[]): string[] =>
  datasets.flatMap(({ name, guid, snapshots }) =>
    snapshots.filter((snapshot) => !before.get(guid)?.has(snapshot.guid)).map((snapshot) => `${name}@${snapshot.name}`),
  );
