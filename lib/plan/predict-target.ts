import type { DatasetEntry, Inventory, SnapshotEntry } from '../../schemas/inventory.ts';
import { datasetOf, leafOf, poolOf } from '../../schemas/names.ts';
import type { Step } from '../../schemas/plan.ts';
import type { StoredStart } from '../../schemas/stored.ts';
import { basesOf } from './inventory/bases.ts';
import { keyHolder } from './placement/key-wrapping.ts';

/**
 * The target's inventory after it has received its stored streams, in this order, if nothing else changes it. If that is wrong, the
 * target rejects the stream. Ignores streams that do not follow on the inventory.
 * @param known its last known inventory
 */
export function predictInventory(known: Inventory, waiting: readonly StoredStart[]): Inventory {
  const datasets = new Map(known.datasets.map((entry) => [entry.name, entry]));
  for (const start of waiting) {
    const { resumeToken: _, ...entry } = datasets.get(start.targetDataset) ?? newDataset(start, datasets);
    // also keeps the partial state
    if (!follows(start, entry)) continue;
    for (const parent of start.parents ?? []) {
      if (!datasets.has(parent)) datasets.set(parent, { ...emptyDataset(parent), placeholder: true });
    }
    datasets.set(start.targetDataset, { ...entry, snapshots: [...entry.snapshots, arrival(start, entry)] });
    bringKey(start, datasets);
  }
  return { ...known, datasets: [...datasets.values()].sort((a, b) => (a.name < b.name ? -1 : 1)) };
}

/** A raw stream's key applies to all datasets that share it. */
function bringKey({ targetDataset, wrapping }: StoredStart, datasets: Map<string, DatasetEntry>): void {
  if (!wrapping) return;
  const holder = keyHolder(targetDataset, datasets);
  for (const [name, entry] of datasets) {
    if (name === targetDataset || keyHolder(name, datasets) === holder) datasets.set(name, { ...entry, wrapping });
  }
}

/** The assumed inventory of an unknown target: only its pool. */
export const emptyInventory = (host: string, targetDataset: string): Inventory => ({
  host,
  datasets: [emptyDataset(poolOf(targetDataset))],
});

const follows = ({ from, to, origin }: StoredStart, { snapshots }: DatasetEntry): boolean => {
  if (snapshots.some(({ guid }) => guid === to.guid)) return false;
  return from === undefined || origin !== undefined ? snapshots.length === 0 : snapshots.at(-1)?.guid === from.guid;
};

export const noSizes = { used: 0, referenced: 0, written: 0 };

/** A substitute for an unknown guid, unique in the listing: a hash of the name (FNV-1a, 64 bits). */
const guidFor = (name: string): string =>
  String([...name].reduce((hash, char) => mixed(hash, BigInt(char.codePointAt(0) ?? 0)), 0xcbf29ce484222325n));
const mixed = (hash: bigint, next: bigint): bigint => BigInt.asUintN(64, (hash ^ next) * 0x100000001b3n);

/** An empty filesystem of that name. */
export const emptyDataset = (name: string): DatasetEntry => ({
  name,
  type: 'filesystem',
  guid: guidFor(name),
  createtxg: '0',
  ...noSizes,
  encryption: 'off',
  snapshots: [],
  bookmarks: [],
});

const newDataset = (
  { targetDataset, volume, raw, record, origin, from }: StoredStart,
  datasets: ReadonlyMap<string, DatasetEntry>,
): DatasetEntry => ({
  ...emptyDataset(targetDataset),
  ...(volume && { type: 'volume' }),
  // the cipher suite does not matter; a dataset that was received raw has no loaded key
  ...(raw && { encryption: 'on', keystatus: 'unavailable', encryptionRoot: rootOf(targetDataset, origin, datasets) }),
  ...(origin !== undefined && from && { origin: { name: origin, guid: from.guid } }),
  ...(record !== undefined && { stream: record }),
});

/** A dataset that was received raw is an encryption root; a clone shares its origin's. */
const rootOf = (
  targetDataset: string,
  origin: string | undefined,
  datasets: ReadonlyMap<string, DatasetEntry>,
): string =>
  origin === undefined ? targetDataset : (datasets.get(datasetOf(origin))?.encryptionRoot ?? datasetOf(origin));

const arrival = ({ to }: StoredStart, { snapshots, createtxg }: DatasetEntry): SnapshotEntry => ({
  name: leafOf(to.name) ?? '',
  guid: to.guid,
  createtxg: String(BigInt(snapshots.at(-1)?.createtxg ?? createtxg) + 1n),
  ...noSizes,
  userrefs: 0,
});

/**
 * The part of a target's listing that plans need while it is offline: of each dataset the newest common snapshot and later ones, and
 * the origins of the source's clones.
 */
export function lastKnownOf(target: Inventory, source: Inventory): Inventory {
  const common = new Set(source.datasets.flatMap((entry) => basesOf(entry).map(guidOf)));
  const origins = new Set(source.datasets.map(({ origin }) => origin?.guid));
  const datasets = target.datasets.map((entry) => {
    const newest = entry.snapshots.findLastIndex(({ guid }) => common.has(guid));
    const snapshots = entry.snapshots.filter(({ guid }, at) => at >= newest || origins.has(guid));
    return { ...entry, snapshots, bookmarks: [] };
  });
  // a pool may be imported differently later
  const { readOnlyPools: _, ...lasting } = target;
  return { ...lasting, datasets };
}

/** The target's listing after the conflict resolutions of these steps, without renamed datasets. */
export function afterResolutions(
  target: Inventory,
  steps: readonly Pick<Step, 'before' | 'targetDataset'>[],
): Inventory {
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
