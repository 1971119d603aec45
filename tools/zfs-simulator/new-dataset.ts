import { randomGuid } from './guid.ts';
import type { Dataset, Pool } from './state.ts';

export const now = (): number => Math.floor(Date.now() / 1000);

/** Adds an empty dataset to a pool, in a new transaction group. */
export function newDataset(pool: Pool, name: string, type: Dataset['type']): Dataset {
  pool.txg += 2;
  const dataset: Dataset = {
    name,
    type,
    guid: randomGuid(),
    txg: pool.txg,
    time: now(),
    props: {},
    extents: [],
    snapshots: [],
    bookmarks: [],
  };
  pool.datasets.push(dataset);
  return dataset;
}
