import { lineage } from './lookup.ts';
import type { Refusal } from './refusal.ts';
import { parseSize } from './space.ts';
import type { Dataset, Pool } from './state.ts';

/** Settable properties with their defaults. */
const SETTABLE: Readonly<Record<string, string>> = {
  aclinherit: 'restricted',
  aclmode: 'discard',
  acltype: 'off',
  atime: 'on',
  canmount: 'on',
  checksum: 'on',
  compression: 'on',
  copies: '1',
  dedup: 'off',
  devices: 'on',
  dnodesize: 'legacy',
  encryption: 'off',
  exec: 'on',
  keyformat: 'none',
  keylocation: 'none',
  logbias: 'latency',
  mountpoint: '',
  overlay: 'on',
  pbkdf2iters: '0',
  primarycache: 'all',
  quota: '0',
  readonly: 'off',
  recordsize: '131072',
  refquota: '0',
  refreservation: '0',
  relatime: 'on',
  reservation: '0',
  secondarycache: 'all',
  setuid: 'on',
  sharenfs: 'off',
  sharesmb: 'off',
  snapdev: 'hidden',
  snapdir: 'hidden',
  sync: 'standard',
  volmode: 'default',
  volsize: '-',
  xattr: 'on',
};
const SIZES = new Set(['quota', 'refquota', 'reservation', 'refreservation', 'recordsize', 'volsize']);
const NOT_INHERITED = new Set([
  'canmount',
  'quota',
  'refquota',
  'reservation',
  'refreservation',
  'volsize',
  'keyformat',
  'keylocation',
]);
const NOT_OF_VOLUMES = new Set([
  'aclinherit',
  'aclmode',
  'acltype',
  'atime',
  'canmount',
  'devices',
  'dnodesize',
  'exec',
  'mountpoint',
  'overlay',
  'quota',
  'recordsize',
  'refquota',
  'relatime',
  'setuid',
  'sharenfs',
  'sharesmb',
  'snapdir',
  'xattr',
]);
const AT_CREATION = new Set(['encryption', 'volsize', 'keyformat', 'pbkdf2iters']);

export const isUserProperty = (name: string): boolean => name.includes(':');
export const isSettable = (name: string): boolean => name in SETTABLE;

/** Does the property apply to the dataset's type? */
export const applies = (name: string, type: Dataset['type']): boolean =>
  type === 'volume' ? !NOT_OF_VOLUMES.has(name) : name !== 'volsize';

/** Properties set on the dataset itself, as in `send -p`. */
export const localProperties = (dataset: Dataset): Record<string, string> =>
  Object.fromEntries(Object.entries(dataset.props).filter(([name]) => !name.startsWith('.') && !AT_CREATION.has(name)));

const ON_OFF = new Set(['atime', 'devices', 'exec', 'overlay', 'readonly', 'relatime', 'setuid']);

/** The stored form of a value; `refuse` makes the error for a name or value that ZFS does not accept. */
export function storedValue(name: string, value: string, refuse: (why: string) => Refusal): string {
  if (isUserProperty(name)) return value;
  if (!isSettable(name)) throw refuse(`invalid property '${name}'`);
  if (name === 'encryption') return value === 'on' ? 'aes-256-gcm' : value;
  if (ON_OFF.has(name) && value !== 'on' && value !== 'off') throw refuse(`'${name}' must be one of 'on | off'`);
  if (!SIZES.has(name)) return value;
  const size = value === 'none' ? 0 : parseSize(value);
  if (size === undefined) throw refuse(`bad numeric value '${value}'`);
  return String(size);
}

export interface Found {
  value: string;
  /** `local`, `default`, `-`, or `inherited from X`. */
  source: string;
}

/** The effective value of a settable or user property, with its source. */
export function effective(pool: Pool, dataset: Dataset, name: string): Found | undefined {
  if (!isUserProperty(name) && !applies(name, dataset.type)) return undefined;
  const line = NOT_INHERITED.has(name) ? [dataset] : lineage(pool, dataset.name);
  const from = line.find((ancestor) => ancestor.props[name] !== undefined);
  if (name === 'mountpoint') return mountpoint(dataset, from);
  if (from !== undefined) return { value: from.props[name] ?? '', source: sourceOf(from, dataset, name) };
  if (isUserProperty(name)) return undefined;
  return { value: SETTABLE[name] ?? '-', source: 'default' };
}

function sourceOf(from: Dataset, dataset: Dataset, name: string): string {
  if (AT_CREATION.has(name)) return '-';
  if (from !== dataset) return `inherited from ${from.name}`;
  return dataset.props[`.received ${name}`] === undefined ? 'local' : 'received';
}

function mountpoint(dataset: Dataset, from: Dataset | undefined): Found {
  if (from === undefined) return { value: `/${dataset.name}`, source: 'default' };
  const base = from.props.mountpoint ?? '';
  const value = base.startsWith('/') ? `${base === '/' ? '' : base}${dataset.name.slice(from.name.length)}` : base;
  return { value, source: sourceOf(from, dataset, 'mountpoint') };
}
