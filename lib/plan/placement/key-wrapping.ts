import type { DatasetEntry, KeyWrapping } from '../../../schemas/inventory.ts';
import { datasetOf } from '../../../schemas/names.ts';

/** `unknown`: nothing tells one `hex` or `raw` key from another, nor what a listing does not show. */
export type Sameness = 'same' | 'different' | 'unknown';

/** Do both wrap with the same key? The salt is random and new with every `zfs change-key`, so an equal one tells. */
export function compareWrappings(one: KeyWrapping | undefined, other: KeyWrapping | undefined): Sameness {
  if (one === undefined || other === undefined) return 'unknown';
  if (one.format !== other.format) return 'different';
  if (one.salt === undefined || other.salt === undefined) return 'unknown';
  return one.salt === other.salt && one.iterations === other.iterations ? 'same' : 'different';
}

type Listed = ReadonlyMap<string, DatasetEntry>;

/** What wraps the key of a dataset's encryption root, and so the key that its raw stream brings. */
export const wrappingOfRoot = ({ name, encryptionRoot, wrapping, rootWrapping }: DatasetEntry, listed: Listed) =>
  encryptionRoot === undefined || encryptionRoot === name
    ? wrapping
    : (listed.get(encryptionRoot)?.wrapping ?? rootWrapping);

/**
 * The dataset that a clone, in however many steps, was made from: clones share one wrapped key with it, and what is received
 * into one of them is received into all (contract/encryption-roots.test.ts).
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
