import { contentDigest, extentBytes, extentCount, referencedBytes, writtenBytes } from './content.ts';
import { niceBytes, niceTime } from './format.ts';
import { encryptionRoot, isEncrypted, wrappingOf } from './keys.ts';
import { clonesOf } from './lookup.ts';
import { effective, isSettable, isUserProperty } from './property-store.ts';
import { readProgress } from './receipt.ts';
import { encodeToken } from './resume-token.ts';
import { room, usedBytes } from './space.ts';
import type { Bookmark, Dataset, Pool, Snapshot, Wrapping } from './state.ts';

/** One line of a listing: a dataset, or a snapshot or bookmark of it. */
export interface Item {
  pool: Pool;
  dataset: Dataset;
  snapshot?: Snapshot;
  bookmark?: Bookmark;
}

export type ItemType = 'filesystem' | 'volume' | 'snapshot' | 'bookmark';

const typeOf = (item: Item): ItemType =>
  item.snapshot !== undefined ? 'snapshot' : item.bookmark !== undefined ? 'bookmark' : item.dataset.type;

export const nameOf = ({ dataset, snapshot, bookmark }: Item): string =>
  snapshot !== undefined
    ? `${dataset.name}@${snapshot.name}`
    : bookmark !== undefined
      ? `${dataset.name}#${bookmark.name}`
      : dataset.name;

const bytes = (value: number, exact: boolean): string => (exact ? String(value) : niceBytes(value));
const head = (item: Item): boolean => item.snapshot === undefined && item.bookmark === undefined;

/** Values of read-only properties; undefined stands for "-". `exact` is `-p`. */
const READ_ONLY: Readonly<Record<string, (item: Item, exact: boolean) => string | undefined>> = {
  name: nameOf,
  type: typeOf,
  guid: (item) => (item.snapshot ?? item.bookmark ?? item.dataset).guid,
  createtxg: (item) => String((item.snapshot ?? item.bookmark ?? item.dataset).txg),
  creation: (item, exact) => {
    const { time } = item.snapshot ?? item.bookmark ?? item.dataset;
    return exact ? String(time) : niceTime(time);
  },
  used: (item, exact) =>
    item.bookmark !== undefined ? undefined : bytes(head(item) ? usedBytes(item.pool, item.dataset) : 0, exact),
  available: (item, exact) => (head(item) ? bytes(room(item.pool, item.dataset.name).bytes, exact) : undefined),
  referenced: (item, exact) => bytes(referenced(item), exact),
  written: (item, exact) => {
    if (item.bookmark !== undefined) return undefined;
    return bytes(
      item.snapshot === undefined ? writtenBytes(item.dataset) : writtenBy(item.dataset, item.snapshot),
      exact,
    );
  },
  origin: (item) => (head(item) ? item.dataset.origin : undefined),
  encryption: (item) => (item.bookmark !== undefined ? undefined : (item.dataset.props.encryption ?? 'off')),
  keystatus: (item) => {
    if (item.bookmark !== undefined || !isEncrypted(item.dataset)) return undefined;
    return encryptionRoot(item.pool, item.dataset)?.keyLoaded === false ? 'unavailable' : 'available';
  },
  encryptionroot: (item) => (item.bookmark === undefined ? encryptionRoot(item.pool, item.dataset)?.name : undefined),
  keyformat: (item) => wrappingShown(item, 'keyformat', 'none'),
  pbkdf2salt: (item) => wrappingShown(item, 'pbkdf2salt', '0'),
  pbkdf2iters: (item) => wrappingShown(item, 'pbkdf2iters', '0'),
  ivsetguid: (item) => (item.snapshot ?? item.bookmark)?.ivset,
  redact_snaps: (item) => item.bookmark?.redaction?.join(','),
  receive_resume_token: (item) => {
    const { receipt } = item.dataset;
    if (!head(item) || receipt === undefined || !receipt.resumable) return undefined;
    const progress = readProgress(receipt.id);
    return progress === undefined ? undefined : encodeToken(progress);
  },
  userrefs: (item) => (item.snapshot === undefined ? undefined : String(item.snapshot.holds?.length ?? 0)),
  defer_destroy: (item) => (item.snapshot === undefined ? undefined : item.snapshot.deferred ? 'on' : 'off'),
  clones: (item) =>
    item.snapshot === undefined
      ? undefined
      : clonesOf(item.pool, nameOf(item))
          .map((clone) => clone.name)
          .join(','),
  mounted: (item) => {
    if (!head(item) || item.dataset.type === 'volume') return undefined;
    return item.dataset.unmounted || item.dataset.receipt?.fresh ? 'no' : 'yes';
  },
  'zfs-sim:digest': (item) =>
    contentDigest(item.dataset.extents, (item.snapshot ?? item.bookmark)?.extents ?? extentCount(item.dataset)),
};

function wrappingShown(item: Item, part: keyof Wrapping, none: string): string | undefined {
  return head(item) ? (wrappingOf(item.pool, item.dataset)?.[part] ?? none) : undefined;
}

const ALIASES: Readonly<Record<string, string>> = {
  avail: 'available',
  refer: 'referenced',
  rdonly: 'readonly',
  compress: 'compression',
  volsz: 'volsize',
};
const OF_SNAPSHOTS = new Set(['volsize', 'devices', 'exec', 'setuid', 'xattr', 'primarycache', 'secondarycache']);

/** Sums up each dataset's extents once, because a listing has every snapshot. */
const sums = new WeakMap<Dataset, Float64Array>();
function referenced(item: Item): number {
  const { dataset } = item;
  const mark = item.snapshot ?? item.bookmark;
  if (mark === undefined) return referencedBytes(dataset);
  let sum = sums.get(dataset);
  if (sum === undefined) {
    sum = new Float64Array(extentCount(dataset) + 1);
    for (let at = 0; at < extentCount(dataset); at++) sum[at + 1] = (sum[at] ?? 0) + (dataset.extents[at * 2] ?? 0);
    sums.set(dataset, sum);
  }
  return referencedBytes(dataset, 0) + (sum[mark.extents] ?? 0);
}

const places = new WeakMap<Dataset, Map<Snapshot, number>>();
function writtenBy(dataset: Dataset, snapshot: Snapshot): number {
  let place = places.get(dataset);
  if (place === undefined) {
    place = new Map(dataset.snapshots.map((each, at) => [each, at]));
    places.set(dataset, place);
  }
  const before = dataset.snapshots[(place.get(snapshot) ?? 0) - 1];
  const from = before?.extents ?? Number(dataset.props['.shared'] ?? 0);
  const first = before === undefined && dataset.origin === undefined ? referencedBytes(dataset, 0) : 0;
  return first + extentBytes(dataset.extents, from, snapshot.extents);
}

/** `written@snapshot`: bytes that the dataset has written since. */
const SINCE = 'written@';
function writtenSince({ dataset }: Item, leaf: string): number | undefined {
  const snapshot = dataset.snapshots.find(({ name }) => name === leaf);
  return snapshot && extentBytes(dataset.extents, snapshot.extents, extentCount(dataset));
}

/** The full name of a property; undefined for one that ZFS does not have. */
export function propertyName(word: string): string | undefined {
  const name = ALIASES[word] ?? word;
  const known = name in READ_ONLY || isSettable(name) || isUserProperty(name) || name.startsWith(SINCE);
  return known ? name : undefined;
}

export const isReadOnly = (name: string): boolean =>
  (name in READ_ONLY && name !== 'encryption') || name.startsWith(SINCE);

/** A property's value in a listing, "-" without one; `name` is from propertyName. */
export function shownValue(item: Item, name: string, exact: boolean): { value: string; source: string } {
  const fixed = READ_ONLY[name];
  if (fixed !== undefined) return { value: fixed(item, exact) ?? '-', source: '-' };
  const none = { value: '-', source: '-' };
  if (name.startsWith(SINCE)) {
    const since = head(item) ? writtenSince(item, name.slice(SINCE.length)) : undefined;
    return since === undefined ? none : { value: bytes(since, exact), source: '-' };
  }
  if (item.bookmark !== undefined) return none;
  if (item.snapshot !== undefined) {
    const own = item.snapshot.props?.[name];
    if (own !== undefined) return { value: own, source: 'local' };
    if (!isUserProperty(name) && !OF_SNAPSHOTS.has(name)) return none;
  }
  const found = effective(item.pool, item.dataset, name);
  if (found === undefined) return none;
  const sized = /quota|reservation|size$/.test(name) && /^\d+$/.test(found.value);
  if (!sized || exact) return found;
  return { ...found, value: found.value === '0' ? 'none' : niceBytes(Number(found.value)) };
}

/** The column's title for people. */
export const titleOf = (name: string): string =>
  ({
    available: 'AVAIL',
    referenced: 'REFER',
    compression: 'COMPRESS',
    readonly: 'RDONLY',
    receive_resume_token: 'RESUMETOK',
    encryptionroot: 'ENCROOT',
  })[name] ?? (isUserProperty(name) ? name.toUpperCase() : name.toUpperCase());
export const isRightAligned = (name: string): boolean =>
  [
    'used',
    'available',
    'referenced',
    'written',
    'quota',
    'reservation',
    'refquota',
    'refreservation',
    'volsize',
    'createtxg',
    'guid',
    'userrefs',
    'recordsize',
  ].includes(name);
