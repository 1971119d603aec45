import { randomGuid } from './guid.ts';
import { lineage, lookupSnapshot } from './lookup.ts';
import type { Dataset, Pool, Wrapping } from './state.ts';

export const isEncrypted = (dataset: Dataset): boolean => (dataset.props.encryption ?? 'off') !== 'off';

/** Every snapshot of an encrypted dataset has a new IV set, unless it was received raw. */
export const newIvset = (dataset: Dataset): { ivset?: string } => (isEncrypted(dataset) ? { ivset: randomGuid() } : {});

/** The dataset whose key opens this one. */
export function encryptionRoot(pool: Pool, dataset: Dataset): Dataset | undefined {
  if (!isEncrypted(dataset)) return undefined;
  const origin = dataset.origin === undefined ? undefined : lookupSnapshot(pool, dataset.origin);
  // a clone shares its origin's key
  if (origin !== undefined) return encryptionRoot(pool, origin.dataset);
  return lineage(pool, dataset.name).find((ancestor) => ancestor.keyLoaded !== undefined);
}

/** The wrapping of a new key of that format: a passphrase gets a new salt each time. */
export const newWrapping = (keyformat: string, iterations = '350000'): Wrapping =>
  keyformat === 'passphrase'
    ? { keyformat, pbkdf2salt: randomGuid(), pbkdf2iters: iterations }
    : { keyformat, pbkdf2salt: '0', pbkdf2iters: '0' };

/** The dataset with the wrapped key: a clone shares its origin's. */
export function keyHolder(pool: Pool, dataset: Dataset): Dataset {
  const origin = dataset.origin === undefined ? undefined : lookupSnapshot(pool, dataset.origin);
  return origin === undefined ? dataset : keyHolder(pool, origin.dataset);
}

export const wrappingOf = (pool: Pool, dataset: Dataset): Wrapping | undefined =>
  isEncrypted(dataset) ? keyHolder(pool, dataset).wrapping : undefined;

/** Does the key of its encryption root open it, after it is loaded again? */
export function opens(pool: Pool, dataset: Dataset): boolean {
  const root = encryptionRoot(pool, dataset);
  return root === undefined || wrappingOf(pool, root)?.pbkdf2salt === wrappingOf(pool, dataset)?.pbkdf2salt;
}

/** Can plain data be written into the dataset: is it unencrypted, or its key loaded? */
export const isOpen = (pool: Pool, dataset: Dataset): boolean => encryptionRoot(pool, dataset)?.keyLoaded !== false;
