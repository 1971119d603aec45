import { lookupSnapshot } from './lookup.ts';
import type { Dataset, Pool } from './state.ts';

/**
 * Is `home` at `txg` in the past of `dataset` at `now`? A clone's past continues in its
 * origin's dataset, from the origin backwards.
 */
export function isInPast(pool: Pool, home: Dataset, txg: number, dataset: Dataset, now: number): boolean {
  if (txg >= now) return false;
  if (home === dataset) return true;
  const origin = dataset.origin === undefined ? undefined : lookupSnapshot(pool, dataset.origin);
  if (origin === undefined) return false;
  if (origin.dataset === home && origin.snapshot.txg === txg) return true;
  return isInPast(pool, home, txg, origin.dataset, origin.snapshot.txg);
}
