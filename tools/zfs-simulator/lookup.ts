import { checkedName, type Name, parentOf, poolOf } from './names.ts';
import { Refusal } from './refusal.ts';
import { type Bookmark, changePool, type Dataset, type Pool, readPool, type Snapshot } from './state.ts';

export const findDataset = (pool: Pool | undefined, name: string): Dataset | undefined =>
  pool?.datasets.find((dataset) => dataset.name === name);

export const findSnapshot = (dataset: Dataset | undefined, name: string | undefined): Snapshot | undefined =>
  dataset?.snapshots.find((snapshot) => snapshot.name === name);

export const findBookmark = (dataset: Dataset | undefined, name: string | undefined): Bookmark | undefined =>
  dataset?.bookmarks.find((bookmark) => bookmark.name === name);

/** The message of ZFS for an unknown name. */
export const noSuch = (name: string): Refusal => new Refusal(`cannot open '${name}': dataset does not exist`);

/** The dataset of that name. @throws Refusal with ZFS's message */
export function openDataset(pool: Pool | undefined, name: string): Dataset {
  const dataset = findDataset(pool, name);
  if (dataset === undefined) throw noSuch(name);
  return dataset;
}

/** The snapshot of that full name, with its dataset. */
export function openSnapshot(pool: Pool | undefined, full: string): { dataset: Dataset; snapshot: Snapshot } {
  const name = checkedName(full);
  const dataset = findDataset(pool, name.dataset);
  const snapshot = findSnapshot(dataset, name.snapshot);
  if (dataset === undefined || snapshot === undefined) throw noSuch(full);
  return { dataset, snapshot };
}

/** A snapshot by its full name; undefined without one. */
export function lookupSnapshot(pool: Pool, full: string): { dataset: Dataset; snapshot: Snapshot } | undefined {
  const [name = '', tail] = full.split('@');
  const dataset = findDataset(pool, name);
  const snapshot = findSnapshot(dataset, tail);
  return dataset && snapshot ? { dataset, snapshot } : undefined;
}

/** Changes the pool of `full`, which the message names if there is no such pool. */
export function changePoolOf<T>(full: string, change: (pool: Pool, name: Name) => T): T {
  const name = checkedName(full);
  return changePool(
    poolOf(full),
    (pool) => change(pool, name),
    () => noSuch(full),
  );
}

export const readPoolOf = (full: string): Pool | undefined => readPool(poolOf(full));

/** Clones of a snapshot, by the snapshot's full name. */
export const clonesOf = (pool: Pool, full: string): Dataset[] =>
  pool.datasets.filter((dataset) => dataset.origin === full);

/** The dataset and its ancestors, nearest first. */
export function lineage(pool: Pool, name: string): Dataset[] {
  const found: Dataset[] = [];
  for (let at: string | undefined = name; at !== undefined; at = parentOf(at)) {
    const dataset = findDataset(pool, at);
    if (dataset !== undefined) found.push(dataset);
  }
  return found;
}
