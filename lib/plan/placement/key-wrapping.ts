import type { DatasetEntry, KeyWrapping } from '../../../schemas/inventory.ts';
import { datasetOf } from '../../../schemas/names.ts';

/** `unknown`: ZFS shows no difference between two `hex` or `raw` keys, or the listing does not show the wrapping. */
export type Sameness = 'same' | 'different' | 'unknown';

/** Do both wrap with the same key? Every `zfs change-key` makes a new random salt, so equal salts mean the same key. */
export function compareWrappings(one: KeyWrapping | undefined, other: KeyWrapping | undefined): Sameness {
  if (one === undefined || other === undefined) return 'unknown';
  if (one.format !== other.format) return 'different';
  if (one.salt === undefined || other.salt === undefined) return 'unknown';
  return one.salt === other.salt && one.iterations === other.iterations ? 'same' : 'different';
}

type Listed = ReadonlyMap<string, DatasetEntry>;

/** The wrapping of a dataset's encryption root, with which its raw stream brings its key. */
export const wrappingOfRoot = ({ name, encryptionRoot, wrapping, rootWrapping }: DatasetEntry, listed: Listed) =>
  encryptionRoot === undefined || encryptionRoot === name
    ? wrapping
    : (listed.get(encryptionRoot)?.wrapping ?? rootWrapping);

/**
 * The dataset from which a clone was made, directly or not. Clones share one wrapped key with it: a key that one of them receives
 * applies to all (contract/encryption-roots.test.ts).
 */
export function keyHolder(name: string, listed: Listed): string {
  const passed = new Set<string>();
  for (let at = name; ; ) {
    passed.add(at);
    const origin = listed.get(at)?.origin;
    if (origin === undefined || passed.has(datasetOf(origin.name))) return at;
    at = datasetOf(origin.name);
  }
}
