import { Refusal } from './refusal.ts';

/** The longest name that ZFS accepts, in bytes (ZFS_MAX_DATASET_NAME_LEN less the final NUL). */
const LONGEST = 255;

export interface Name {
  readonly dataset: string;
  /** The part after `@`. */
  readonly snapshot?: string;
  /** The part after `#`. */
  readonly bookmark?: string;
}

/** The fault of a dataset, snapshot or bookmark name, in ZFS's words; undefined for a valid name. */
export function nameFault(name: string): string | undefined {
  if (Buffer.byteLength(name) > LONGEST) return 'name is too long';
  if (name.startsWith('/')) return 'leading slash in name';
  const odd = /[^A-Za-z0-9\-_.: /@#%]/.exec(name);
  const [dataset = '', ...tails] = name.split(/[@#]/);
  if (name === '' || dataset === '') return "empty component or misplaced '@' or '#' delimiter in name";
  if (dataset.endsWith('/'))
    return tails.length > 0 ? "empty component or misplaced '@' or '#' delimiter in name" : 'trailing slash in name';
  if (dataset.includes('//')) return "empty component or misplaced '@' or '#' delimiter in name";
  if (odd !== null) return `invalid character '${odd[0]}' in name`;
  for (const part of dataset.split('/')) {
    if (part === '.') return "self reference, '.' is found in name";
    if (part === '..') return "parent reference, '..' is found in name";
  }
  if (tails.length > 1) return "multiple '@' and/or '#' delimiters in name";
  if (tails[0] === '') return "empty component or misplaced '@' or '#' delimiter in name";
  if (tails[0]?.includes('/')) return "invalid character '/' in name";
  return undefined;
}

/** Maximum number of elements in `zfs create` and `zfs rename`. */
const DEEPEST = 50;

export const isTooDeep = (dataset: string): boolean => dataset.split('/').length > DEEPEST;

/** Splits a name that nameFault has accepted. */
export function parseName(name: string): Name {
  const [dataset = '', tail] = name.split(/[@#]/);
  if (tail === undefined) return { dataset };
  return name.includes('@') ? { dataset, snapshot: tail } : { dataset, bookmark: tail };
}

/** As parseName, refusing a faulty name with `prefix 'NAME': fault`. */
export function checkedName(name: string, prefix = 'cannot open'): Name {
  const fault = nameFault(name);
  if (fault !== undefined) throw new Refusal(`${prefix} '${name}': ${fault}`);
  return parseName(name);
}

export const poolOf = (name: string): string => name.split(/[/@#]/, 1)[0] ?? '';

/** The parent, or undefined for a pool. */
export function parentOf(dataset: string): string | undefined {
  const cut = dataset.lastIndexOf('/');
  return cut < 0 ? undefined : dataset.slice(0, cut);
}

export const isBelow = (dataset: string, ancestor: string): boolean => dataset.startsWith(`${ancestor}/`);
