import type { ConflictResolution, Rename } from '../../../schemas/conflict.ts';
import type { DatasetEntry, Inventory } from '../../../schemas/inventory.ts';
import { datasetOf, isWithin } from '../../../schemas/names.ts';

/** The listing as it will be after the resolution; later datasets are planned from it. */
export function afterResolution(listing: Inventory, resolution: ConflictResolution): Inventory {
  if (resolution.kind === 'rename') {
    return { ...listing, datasets: listing.datasets.map((dataset) => renamed(dataset, resolution)) };
  }
  const name = datasetOf(resolution.to.name);
  const gone = new Set(resolution.destroys.map(({ guid }) => guid));
  const cursors = new Set(resolution.cursors?.map((mark) => mark.name));
  const rolledBack = (dataset: DatasetEntry): DatasetEntry => ({
    ...dataset,
    written: 0,
    snapshots: dataset.snapshots.filter(({ guid }) => !gone.has(guid)),
    bookmarks: dataset.bookmarks.filter((mark) => !cursors.has(mark.name)),
  });
  return { ...listing, datasets: listing.datasets.map((one) => (one.name === name ? rolledBack(one) : one)) };
}

/** The name that a dataset or snapshot of the target has after a rename. */
export const nameAfter = (name: string, { from, to }: Pick<Rename, 'from' | 'to'>): string =>
  isWithin(datasetOf(name), from) ? `${to}${name.slice(from.length)}` : name;

function renamed(dataset: DatasetEntry, rename: Rename): DatasetEntry {
  const { origin, encryptionRoot } = dataset;
  return {
    ...dataset,
    name: nameAfter(dataset.name, rename),
    ...(encryptionRoot !== undefined && { encryptionRoot: nameAfter(encryptionRoot, rename) }),
    ...(origin && { origin: { ...origin, name: nameAfter(origin.name, rename) } }),
  };
}
