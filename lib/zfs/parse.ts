import { rollbackMarkSchema } from '../../schemas/conflict.ts';
import type { Pool } from '../../schemas/host.ts';
import type { BookmarkEntry, DatasetEntry, SnapshotEntry } from '../../schemas/inventory.ts';
import { datasetOf, leafOf } from '../../schemas/names.ts';
import { type StreamFeature, streamMarkSchema } from '../../schemas/stream.ts';
import type { Column, OwnProperty } from './argv.ts';
import { type KeyColumns, keyOf } from './key-columns.ts';
import { type Asked, eachListed, eachRow, unreadable } from './rows.ts';
import { parseFeatures } from './stream-flags.ts';

export interface InspectedName extends KeyColumns {
  name: string;
  type: 'filesystem' | 'volume' | 'snapshot' | 'bookmark';
  guid: string;
  createtxg: string;
  resumeToken?: string;
  /** The snapshot that it is a clone of. */
  origin?: string;
  /** Bytes: of a dataset, since its newest snapshot; of a snapshot, since the one before; 0 of a bookmark. */
  written: number;
  /** Number of user holds. */
  userrefs: number;
}

/** "-" (no such value for this type) and whatever is not a number count as 0. */
function bytes(field: string | undefined): number {
  const value = Number(field);
  return Number.isSafeInteger(value) && value > 0 ? value : 0;
}

const present = (field: string | undefined): string | undefined => (field && field !== '-' ? field : undefined);

/** Whatever else somebody has put there says nothing. */
const markOf = (field: string | undefined): string | undefined => streamMarkSchema.safeParse(field).data;

/** A mark that is inherited, or came with a stream of properties, is another dataset's. */
function rolledBackOf(field: string | undefined, dataset: string): string | undefined {
  const colon = field?.indexOf(':') ?? -1;
  return field?.slice(0, colon) === dataset ? rollbackMarkSchema.safeParse(field.slice(colon + 1)).data : undefined;
}

/** What lies below a placeholder inherits its mark, but not that it is never mounted. */
const isPlaceholder = (type: string, mark: string | undefined, canmount: string | undefined): boolean =>
  type === 'filesystem' && mark === 'on' && canmount === 'off';

/** Order of two decimal strings of up to 64 bits. */
const byNumber = (a: string, b: string): number => a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
const byTxg = (a: { createtxg: string }, b: { createtxg: string }): number => byNumber(a.createtxg, b.createtxg);

/** What zpsend has noted at datasets, by their names, as `zfs get` shows it. */
export type OwnValues = ReadonlyMap<string, Partial<Record<OwnProperty, string>>>;

export interface ListingRows {
  readonly stdout: string;
  readonly columns: readonly Column[];
  readonly asked: Asked;
  /** Keeps this dataset alone. */
  readonly only?: string | undefined;
}

/**
 * The rows of `zfs list` as datasets with their snapshots and bookmarks: datasets by name, the rest by createtxg.
 * Snapshots of datasets that are not in the listing are left out.
 * @throws ZpsendError INTERNAL where the rows are not what was asked for
 */
export function parseListing(
  { stdout, columns, asked, only }: ListingRows,
  own: OwnValues = new Map(),
): DatasetEntry[] {
  const datasets = new Map<string, DatasetEntry>();
  const leaves: { dataset: string; snapshot?: SnapshotEntry; bookmark?: BookmarkEntry }[] = [];
  eachListed(stdout, columns, asked, (field) => {
    const name = field('name') ?? '';
    const guid = field('guid') ?? '';
    const createtxg = field('createtxg') ?? '';
    const sizes = (column: Column) => bytes(field(column));
    const type = field('type');
    if (type === 'filesystem' || type === 'volume') {
      if (only !== undefined && name !== only) return;
      const origin = present(field('origin'));
      const resumeToken = present(field('receive_resume_token'));
      const noted = own.get(name) ?? {};
      const stream = markOf(noted['zpsend:stream']);
      const rolledBack = rolledBackOf(noted['zpsend:rollback'], guid);
      // a refquota bounds this dataset and not what lies below, so with one the figure tells too little
      const available = sizes('refquota') > 0 ? undefined : present(field('available'));
      const placeholder = isPlaceholder(type, noted['zpsend:placeholder'], field('canmount'));
      datasets.set(name, {
        name,
        type,
        guid,
        createtxg,
        used: sizes('used'),
        referenced: sizes('referenced'),
        written: sizes('written'),
        ...(available && { available: bytes(available) }),
        ...(origin && { origin: { name: origin } }),
        encryption: present(field('encryption')) ?? 'off',
        ...keyOf((column) => field(column)),
        ...(stream && { stream }),
        ...(resumeToken && { resumeToken }),
        ...(placeholder && { placeholder }),
        ...(rolledBack && { rolledBack }),
        snapshots: [],
        bookmarks: [],
      });
      return;
    }
    const ivset = present(field('ivsetguid'));
    const redacted = present(field('redact_snaps')) !== undefined;
    const creation = present(field('creation'));
    const leaf = {
      name: leafOf(name) ?? '',
      guid,
      createtxg,
      ...(ivset && { ivset }),
      ...(redacted && { redacted: true as const }),
      ...(creation && { creation: bytes(creation) }),
    };
    if (type === 'bookmark') {
      leaves.push({ dataset: datasetOf(name), bookmark: leaf });
      return;
    }
    const { used, referenced, written, userrefs } = {
      used: sizes('used'),
      referenced: sizes('referenced'),
      written: sizes('written'),
      userrefs: sizes('userrefs'),
    };
    leaves.push({ dataset: datasetOf(name), snapshot: { ...leaf, used, referenced, written, userrefs } });
  });
  for (const { dataset, snapshot, bookmark } of leaves) {
    const entry = datasets.get(dataset);
    if (snapshot) entry?.snapshots.push(snapshot);
    if (bookmark) entry?.bookmarks.push(bookmark);
  }
  const listed = [...datasets.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of listed) {
    entry.snapshots.sort(byTxg);
    entry.bookmarks.sort(byTxg);
  }
  return listed;
}

/** Fills in the guids of the origins that the listing itself holds; gives the names of those it does not. */
export function joinOrigins(datasets: readonly DatasetEntry[], known: ReadonlyMap<string, string>): string[] {
  const wanted = new Map<string, string | undefined>();
  for (const { origin } of datasets) if (origin) wanted.set(origin.name, known.get(origin.name));
  const holders = new Set([...wanted.keys()].map(datasetOf));
  for (const { name, snapshots } of datasets) {
    if (!holders.has(name)) continue;
    for (const snapshot of snapshots) {
      const full = `${name}@${snapshot.name}`;
      if (wanted.has(full)) wanted.set(full, snapshot.guid);
    }
  }
  for (const dataset of datasets) {
    const guid = dataset.origin && wanted.get(dataset.origin.name);
    if (dataset.origin && guid) dataset.origin = { name: dataset.origin.name, guid };
  }
  return [...wanted].filter(([, guid]) => guid === undefined).map(([name]) => name);
}

/** The rows of `zfs list` for named things, as they come. @throws ZpsendError INTERNAL where the rows are not what was asked for */
export function parseInspected(stdout: string, columns: readonly Column[], asked: Asked): InspectedName[] {
  const seen: InspectedName[] = [];
  eachListed(stdout, columns, asked, (field) => {
    const resumeToken = present(field('receive_resume_token'));
    const origin = present(field('origin'));
    seen.push({
      name: field('name') ?? '',
      type: field('type') as InspectedName['type'],
      guid: field('guid') ?? '',
      createtxg: field('createtxg') ?? '',
      ...keyOf((column) => field(column)),
      ...(resumeToken && { resumeToken }),
      ...(origin && { origin }),
      written: bytes(field('written')),
      userrefs: bytes(field('userrefs')),
    });
  });
  return seen;
}

/** One number on a line of its own; undefined for "-". */
export const parseBytes = (stdout: string): number | undefined =>
  /^[0-9]+\n?$/.test(stdout) ? bytes(stdout) : undefined;

/**
 * `zfs holds -H`: snapshot, tag, date. Whoever may hold can choose a tag that looks like more rows: that adds holds which are not there, and hides none.
 * @throws ZpsendError INTERNAL where a row is not of three fields, or of a snapshot that was not asked for
 */
export function parseHolds(stdout: string, asked: ReadonlySet<string>): { snapshot: string; tag: string }[] {
  const holds: { snapshot: string; tag: string }[] = [];
  eachRow(stdout, (fields) => {
    const [snapshot = '', tag = ''] = fields;
    if (fields.length !== 3 || !asked.has(snapshot)) {
      throw unreadable('the tag of a hold has a tab or a line break', 'Look with: zfs holds SNAPSHOT');
    }
    holds.push({ snapshot, tag });
  });
  return holds;
}

/** `zpool list -Hp`; a pool that is not available shows "-" for its sizes. */
export function parsePools(stdout: string): Pool[] {
  const pools: Pool[] = [];
  eachRow(stdout, ([name, size, allocated, free, health, readonly]) => {
    if (name)
      pools.push({
        name,
        size: bytes(size),
        allocated: bytes(allocated),
        free: bytes(free),
        health: present(health) ?? 'UNKNOWN',
        readOnly: readonly === 'on',
      });
  });
  return pools;
}

/** What streams need to know of pools. */
export interface PoolFacts {
  /** Enabled features of each pool, as far as they matter to streams. */
  features: Record<string, StreamFeature[]>;
  /** Those of them that something in the pool uses. */
  active: Record<string, StreamFeature[]>;
  /** The pools that are imported read-only. */
  readOnlyPools: string[];
}

/** `zpool get -Hp -o name,property,value all` */
export function parsePoolFacts(stdout: string): PoolFacts {
  const facts: PoolFacts = {
    features: parseFeatures(stdout, ['enabled', 'active']),
    active: parseFeatures(stdout, ['active']),
    readOnlyPools: [],
  };
  eachRow(stdout, ([pool, property, value]) => {
    if (pool && property === 'readonly' && value === 'on') facts.readOnlyPools.push(pool);
  });
  return facts;
}

/** Bytes from the `size` line of `zfs send -nvP`. */
export function parseEstimate(output: string): number | undefined {
  const size = /^size[\t ]+([0-9]+)$/m.exec(output)?.[1];
  return size === undefined ? undefined : bytes(size);
}
