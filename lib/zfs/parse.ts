import { rollbackMarkSchema } from '../../schemas/conflict.ts';
import type { Pool } from '../../schemas/host.ts';
import type { BookmarkEntry, DatasetEntry, SnapshotEntry } from '../../schemas/inventory.ts';
import { datasetOf, leafOf } from '../../schemas/names.ts';
import { type StreamFeature, streamMarkSchema } from '../../schemas/stream.ts';
import type { Column, OwnProperty } from './argv.ts';
import { type KeyColumns, keyOf } from './key-columns.ts';
import { type ExpectedNames, eachListed, eachRow, unreadable } from './rows.ts';
import { parseFeatures } from './stream-flags.ts';

export interface InspectedName extends KeyColumns {
  name: string;
  type: 'filesystem' | 'volume' | 'snapshot' | 'bookmark';
  guid: string;
  createtxg: string;
  resumeToken?: string;
  /** The snapshot from which it was cloned. */
  origin?: string;
  /** Bytes: of a dataset, since its newest snapshot; of a snapshot, since the one before; 0 of a bookmark. */
  written: number;
  /** Number of user holds. */
  userrefs: number;
}

/** "-" (no such value for this type) and any other text that is not a number count as 0. */
function bytes(field: string | undefined): number {
  const value = Number(field);
  return Number.isSafeInteger(value) && value > 0 ? value : 0;
}

const present = (field: string | undefined): string | undefined => (field && field !== '-' ? field : undefined);

/** Ignores a value that zpsend did not set. */
const markOf = (field: string | undefined): string | undefined => streamMarkSchema.safeParse(field).data;

/** A mark that was inherited, or received with `zfs send -p`, contains the guid of another dataset. */
function rolledBackOf(field: string | undefined, dataset: string): string | undefined {
  const colon = field?.indexOf(':') ?? -1;
  return field?.slice(0, colon) === dataset ? rollbackMarkSchema.safeParse(field.slice(colon + 1)).data : undefined;
}

/** A child of a placeholder inherits the user property, but not `canmount`. */
const isPlaceholder = (type: string, mark: string | undefined, canmount: string | undefined): boolean =>
  type === 'filesystem' && mark === 'on' && canmount === 'off';

/** Order of two decimal strings of up to 64 bits. */
const byNumber = (a: string, b: string): number => a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
const byTxg = (a: { createtxg: string }, b: { createtxg: string }): number => byNumber(a.createtxg, b.createtxg);

/** The user properties that zpsend has set, by the dataset's name, as `zfs get` shows them. */
export type OwnValues = ReadonlyMap<string, Partial<Record<OwnProperty, string>>>;

export interface ListingRows {
  readonly stdout: string;
  readonly columns: readonly Column[];
  readonly expected: ExpectedNames;
  /** Keeps only this dataset. */
  readonly only?: string | undefined;
}

type Field = (column: Column) => string | undefined;

const sizesIn = (field: Field) => ({
  used: bytes(field('used')),
  referenced: bytes(field('referenced')),
  written: bytes(field('written')),
});

/** The row of a filesystem or volume, without its snapshots and bookmarks. */
function datasetIn(field: Field, type: DatasetEntry['type'], own: OwnValues): DatasetEntry {
  const name = field('name') ?? '';
  const guid = field('guid') ?? '';
  const origin = present(field('origin'));
  const resumeToken = present(field('receive_resume_token'));
  const properties = own.get(name) ?? {};
  const stream = markOf(properties['zpsend:stream']);
  const rolledBack = rolledBackOf(properties['zpsend:rollback'], guid);
  // a refquota limits this dataset but not its descendants, so the number is too low for them
  const available = bytes(field('refquota')) > 0 ? undefined : present(field('available'));
  const placeholder = isPlaceholder(type, properties['zpsend:placeholder'], field('canmount'));
  return {
    name,
    type,
    guid,
    createtxg: field('createtxg') ?? '',
    ...sizesIn(field),
    ...(available && { available: bytes(available) }),
    ...(origin && { origin: { name: origin } }),
    encryption: present(field('encryption')) ?? 'off',
    ...keyOf(field),
    ...(stream && { stream }),
    ...(resumeToken && { resumeToken }),
    ...(placeholder && { placeholder }),
    ...(rolledBack && { rolledBack }),
    snapshots: [],
    bookmarks: [],
  };
}

/** The row of a bookmark, or what a snapshot has in common with one. */
function bookmarkIn(field: Field): BookmarkEntry {
  const ivset = present(field('ivsetguid'));
  const redacted = present(field('redact_snaps')) !== undefined;
  const creation = present(field('creation'));
  return {
    name: leafOf(field('name') ?? '') ?? '',
    guid: field('guid') ?? '',
    createtxg: field('createtxg') ?? '',
    ...(ivset && { ivset }),
    ...(redacted && { redacted: true as const }),
    ...(creation && { creation: bytes(creation) }),
  };
}

const snapshotIn = (field: Field): SnapshotEntry => ({
  ...bookmarkIn(field),
  ...sizesIn(field),
  userrefs: bytes(field('userrefs')),
});

/**
 * The rows of `zfs list` as datasets by name, with their snapshots and bookmarks by createtxg.
 * Drops snapshots whose dataset is not listed.
 * @throws ZpsendError INTERNAL for a row that does not belong to the listing
 */
export function parseListing(
  { stdout, columns, expected, only }: ListingRows,
  own: OwnValues = new Map(),
): DatasetEntry[] {
  const datasets = new Map<string, DatasetEntry>();
  const leaves: { dataset: string; snapshot?: SnapshotEntry; bookmark?: BookmarkEntry }[] = [];
  eachListed(stdout, columns, expected, (field) => {
    const name = field('name') ?? '';
    const type = field('type');
    if (type === 'filesystem' || type === 'volume') {
      if (only === undefined || name === only) datasets.set(name, datasetIn(field, type, own));
    } else if (type === 'bookmark') leaves.push({ dataset: datasetOf(name), bookmark: bookmarkIn(field) });
    else leaves.push({ dataset: datasetOf(name), snapshot: snapshotIn(field) });
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

/** Sets the guids of origins that are listed or in `known`. @returns the names of the others */
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

/** The rows of `zfs list` for given names, in its order. @throws ZpsendError INTERNAL for a row of another name */
export function parseInspected(stdout: string, columns: readonly Column[], expected: ExpectedNames): InspectedName[] {
  const inspected: InspectedName[] = [];
  eachListed(stdout, columns, expected, (field) => {
    const resumeToken = present(field('receive_resume_token'));
    const origin = present(field('origin'));
    inspected.push({
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
  return inspected;
}

/** Output that is one number; undefined for "-". */
export const parseBytes = (stdout: string): number | undefined =>
  /^[0-9]+\n?$/.test(stdout) ? bytes(stdout) : undefined;

/**
 * `zfs holds -H`: snapshot, tag, date. A tag may contain line breaks, so a user can forge additional holds; no tag hides a hold.
 * @throws ZpsendError INTERNAL for a row without three fields, or of another snapshot
 */
export function parseHolds(stdout: string, expected: ReadonlySet<string>): { snapshot: string; tag: string }[] {
  const holds: { snapshot: string; tag: string }[] = [];
  eachRow(stdout, (fields) => {
    const [snapshot = '', tag = ''] = fields;
    if (fields.length !== 3 || !expected.has(snapshot)) {
      throw unreadable('the tag of a hold contains a tab or a line break', 'Find it with: zfs holds SNAPSHOT');
    }
    holds.push({ snapshot, tag });
  });
  return holds;
}

/** `zpool list -Hp`; an unavailable pool shows "-" for its sizes. */
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

/** What streams depend on in pools. */
export interface PoolFacts {
  /** Enabled features of each pool, of those that streams depend on. */
  features: Record<string, StreamFeature[]>;
  /** Those of them that are active: some dataset in the pool uses them. */
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
