import type { Clearing, Rename } from '../../../schemas/conflict.ts';
import type { DatasetEntry, Inventory } from '../../../schemas/inventory.ts';
import { datasetOf, isWithin } from '../../../schemas/names.ts';

/** The listing as it will be once that is done: what is planned then is planned from it. */
export function cleared(listing: Inventory, clearing: Clearing): Inventory {
  if (clearing.kind === 'rename') {
    return { ...listing, datasets: listing.datasets.map((dataset) => renamed(dataset, clearing)) };
  }
  const name = datasetOf(clearing.to.name);
  const gone = new Set(clearing.destroys.map(({ guid }) => guid));
  const cursors = new Set(clearing.cursors?.map((mark) => mark.name));
  const rolledBack = (dataset: DatasetEntry): DatasetEntry => ({
    ...dataset,
    written: 0,
    snapshots: dataset.snapshots.filter(({ guid }) => !gone.has(guid)),
    bookmarks: dataset.bookmarks.filter((mark) => !cursors.has(mark.name)),
  });
  return { ...listing, datasets: listing.datasets.map((one) => (one.name === name ? rolledBack(one) : one)) };
}

/** What a name of the target becomes; a snapshot's goes with its dataset's. */
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
