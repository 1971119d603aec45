import { randomGuid } from './guid.ts';
import { lineage, lookupSnapshot } from './lookup.ts';
import type { Dataset, Pool } from './state.ts';

export const isEncrypted = (dataset: Dataset): boolean => (dataset.props.encryption ?? 'off') !== 'off';

/** Every snapshot of an encrypted dataset is an encryption of its own, unless it was received raw. */
export const newIvset = (dataset: Dataset): { ivset?: string } => (isEncrypted(dataset) ? { ivset: randomGuid() } : {});

/** The dataset whose key opens this one. */
export function encryptionRoot(pool: Pool, dataset: Dataset): Dataset | undefined {
  if (!isEncrypted(dataset)) return undefined;
  const origin = dataset.origin === undefined ? undefined : lookupSnapshot(pool, dataset.origin);
  // a clone shares its origin's key, wherever it is
  if (origin !== undefined) return encryptionRoot(pool, origin.dataset);
  return lineage(pool, dataset.name).find((ancestor) => ancestor.keyLoaded !== undefined);
}

/** Whether data can be written into a dataset as it is: it is plain, or its key is loaded. */
export const isOpen = (pool: Pool, dataset: Dataset): boolean => encryptionRoot(pool, dataset)?.keyLoaded !== false;
