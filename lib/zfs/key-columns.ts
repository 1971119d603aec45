import { type DatasetEntry, type KeyWrapping, keyWrappingSchema } from '../../schemas/inventory.ts';
import { guidSchema } from '../../schemas/names.ts';
import type { Column } from './argv.ts';

/** What `zfs list` shows of a dataset's key; empty for an unencrypted dataset. */
export interface KeyColumns {
  keystatus?: 'available' | 'unavailable';
  encryptionRoot?: string;
  wrapping?: KeyWrapping;
}

/** @param field reads one column of the row */
export function keyOf(field: (column: Column) => string | undefined): KeyColumns {
  const keystatus = field('keystatus');
  const encryptionRoot = field('encryptionroot');
  const wrapping = wrappingOf(field('keyformat'), field('pbkdf2salt'), field('pbkdf2iters'));
  return {
    ...((keystatus === 'available' || keystatus === 'unavailable') && { keystatus }),
    ...(encryptionRoot && encryptionRoot !== '-' && { encryptionRoot }),
    ...(wrapping && { wrapping }),
  };
}

/**
 * Each dataset shows the format, salt and iterations with which its own key was last wrapped, even if it inherits its key
 * (contract/encryption-roots.test.ts). Some releases have only the column for the format.
 */
function wrappingOf(format: string | undefined, salt: string | undefined, iterations: string | undefined) {
  const known = keyWrappingSchema.shape.format.safeParse(format).data;
  if (known === undefined) return undefined;
  if (known !== 'passphrase' || !guidSchema.safeParse(salt).success || salt === '0') return { format: known };
  const count = Number(iterations);
  return { format: known, salt, ...(Number.isSafeInteger(count) && count > 0 && { iterations: count }) };
}

/** The encryption roots that the listed datasets refer to, and that are not listed themselves. */
export function rootsOutside(datasets: readonly DatasetEntry[]): string[] {
  const listed = new Set(datasets.map(({ name }) => name));
  const roots = new Set(datasets.map(({ encryptionRoot }) => encryptionRoot));
  return [...roots].filter((root): root is string => root !== undefined && !listed.has(root));
}

/** Sets `rootWrapping` of the datasets that inherit their key from one of these roots. */
export function joinRoots(datasets: readonly DatasetEntry[], roots: readonly ({ name: string } & KeyColumns)[]): void {
  const wrappings = new Map(roots.map(({ name, wrapping }) => [name, wrapping]));
  for (const dataset of datasets) {
    const wrapping = wrappings.get(dataset.encryptionRoot ?? '');
    if (wrapping) dataset.rootWrapping = wrapping;
  }
}
