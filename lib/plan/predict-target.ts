import type { DatasetEntry, Inventory, SnapshotEntry } from '../../schemas/inventory.ts';
import { datasetOf, leafOf, poolOf } from '../../schemas/names.ts';
import type { Step } from '../../schemas/plan.ts';
import type { StoredStart } from '../../schemas/stored.ts';
import { basesOf } from './inventory/bases.ts';
import { keyHolder } from './placement/key-wrapping.ts';

/**
 * What a target will have once it has received what waits for it, in that order, if nothing else happens to it meanwhile. Where that
 * turns out otherwise, the target refuses, and is seen then. What does not follow on what is there, is not counted on.
 * @param known what it had when it was seen last
 */
export function predictInventory(known: Inventory, waiting: readonly StoredStart[]): Inventory {
  const datasets = new Map(known.datasets.map((entry) => [entry.name, entry]));
  for (const start of waiting) {
    const { resumeToken: _, ...entry } = datasets.get(start.dataset) ?? newDataset(start, datasets);
    // what does not follow leaves partial state as it is
    if (!follows(start, entry)) continue;
    for (const parent of start.parents ?? []) {
      if (!datasets.has(parent)) datasets.set(parent, { ...made(parent), placeholder: true });
    }
    datasets.set(start.dataset, { ...entry, snapshots: [...entry.snapshots, arrival(start, entry)] });
    bringKey(start, datasets);
  }
  return { ...known, datasets: [...datasets.values()].sort((a, b) => (a.name < b.name ? -1 : 1)) };
}

/** The key that a raw stream brings is that of all that share it. */
function bringKey({ dataset, wrapping }: StoredStart, datasets: Map<string, DatasetEntry>): void {
  if (!wrapping) return;
  const holder = keyHolder(dataset, datasets);
  for (const [name, entry] of datasets) {
    if (name === dataset || keyHolder(name, datasets) === holder) datasets.set(name, { ...entry, wrapping });
  }
}

/** A target that nobody has seen: its pool is taken for granted, and nothing else. */
export const unseen = (host: string, dataset: string): Inventory => ({ host, datasets: [made(poolOf(dataset))] });

const follows = ({ from, to, origin }: StoredStart, { snapshots }: DatasetEntry): boolean => {
  if (snapshots.some(({ guid }) => guid === to.guid)) return false;
  return from === undefined || origin !== undefined ? snapshots.length === 0 : snapshots.at(-1)?.guid === from.guid;
};

export const nothing = { used: 0, referenced: 0, written: 0 };

/** Nobody knows its guid, and in a listing no two are the same: a hash of the name (FNV-1a, 64 bits). */
const guidFor = (name: string): string =>
  String([...name].reduce((hash, char) => mixed(hash, BigInt(char.codePointAt(0) ?? 0)), 0xcbf29ce484222325n));
const mixed = (hash: bigint, next: bigint): bigint => BigInt.asUintN(64, (hash ^ next) * 0x100000001b3n);

/** An empty filesystem of that name. */
export const made = (name: string): DatasetEntry => ({
  name,
  type: 'filesystem',
  guid: guidFor(name),
  createtxg: '0',
  ...nothing,
  encryption: 'off',
  snapshots: [],
  bookmarks: [],
});

const newDataset = (
  { dataset, volume, raw, record, origin, from }: StoredStart,
  datasets: ReadonlyMap<string, DatasetEntry>,
): DatasetEntry => ({
  ...made(dataset),
  ...(volume && { type: 'volume' }),
  // the suite is the source's, and of no interest: nobody has loaded the key of what arrives raw
  ...(raw && { encryption: 'on', keystatus: 'unavailable', encryptionRoot: rootOf(dataset, origin, datasets) }),
  ...(origin !== undefined && from && { origin: { name: origin, guid: from.guid } }),
  ...(record !== undefined && { stream: record }),
});

/** What is received raw has a key of its own, and a clone that of its origin. */
const rootOf = (dataset: string, origin: string | undefined, datasets: ReadonlyMap<string, DatasetEntry>): string =>
  origin === undefined ? dataset : (datasets.get(datasetOf(origin))?.encryptionRoot ?? datasetOf(origin));

const arrival = ({ to }: StoredStart, { snapshots, createtxg }: DatasetEntry): SnapshotEntry => ({
  name: leafOf(to.name) ?? '',
  guid: to.guid,
  createtxg: String(BigInt(snapshots.at(-1)?.createtxg ?? createtxg) + 1n),
  ...nothing,
  userrefs: 0,
});

/**
 * As much of a target's listing as plans need when it cannot be seen: of each dataset the snapshots from the newest on that the source
 * has too, and those that clones of the source come from.
 */
export function lastKnownOf(target: Inventory, source: Inventory): Inventory {
  const common = new Set(source.datasets.flatMap((entry) => basesOf(entry).map(guidOf)));
  const origins = new Set(source.datasets.map(({ origin }) => origin?.guid));
  const datasets = target.datasets.map((entry) => {
    const newest = entry.snapshots.findLastIndex(({ guid }) => common.has(guid));
    const snapshots = entry.snapshots.filter(({ guid }, at) => at >= newest || origins.has(guid));
    return { ...entry, snapshots, bookmarks: [] };
  });
  // how its pool is imported is for the day when it was seen
  const { readOnlyPools: _, ...lasting } = target;
  return { ...lasting, datasets };
}

/** What is left there once it was cleared for these steps: what a rollback destroys is gone, and what is renamed is elsewhere. */
export function cleared(target: Inventory, steps: readonly Pick<Step, 'before' | 'targetDataset'>[]): Inventory {
  const gone = new Set<string>();
  const renamed = new Set<string>();
  for (const { before } of steps) {
    if (before?.kind === 'rollback') for (const { guid } of before.destroys) gone.add(guid);
    if (before?.kind === 'rename') renamed.add(before.from);
  }
  const datasets = target.datasets
    .filter(({ name }) => !renamed.has(name))
    .map((entry) => ({ ...entry, snapshots: entry.snapshots.filter(({ guid }) => !gone.has(guid)) }));
  return { ...target, datasets };
}

const guidOf = ({ guid }: { guid: string }): string => guid;
