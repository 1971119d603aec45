import type { DatasetEntry, Inventory, KeyWrapping, SnapshotEntry } from '../../schemas/inventory.ts';
import { type Base, basesOf, newestCommon } from './inventory/bases.ts';
import { isAfter } from './inventory/txg.ts';
import { emptyDataset, noSizes } from './predict-target.ts';

/** A dataset that was sent to a target which is now offline. */
export interface SentBefore {
  /** The target's name for it. */
  readonly targetDataset: string;
  readonly source: DatasetEntry;
  /** The newest snapshot that is known to have arrived, as the source has it. */
  readonly base: Base;
  /** The initial flags of its chain; undefined if unknown. */
  readonly stream?: string | undefined;
  /** The wrapping of its key there; undefined if unknown. */
  readonly wrapping?: KeyWrapping | undefined;
}

/**
 * The known inventory of a target (possibly none) together with later sends. Assumes neither older snapshots than the known ones nor
 * anything of its pool.
 */
export function withSent(known: Inventory, sent: readonly SentBefore[]): Inventory {
  const datasets = new Map(known.datasets.map((entry) => [entry.name, entry]));
  for (const one of sent) datasets.set(one.targetDataset, sentTo(datasets.get(one.targetDataset), one));
  return { ...known, datasets: [...datasets.values()].sort((a, b) => (a.name < b.name ? -1 : 1)) };
}

/** Was a newer snapshot sent than the known ones of the target? */
export function isNewer({ source, base }: Pick<SentBefore, 'source' | 'base'>, known: DatasetEntry): boolean {
  const common = newestCommon(source, known);
  return common === undefined || isAfter(base, common);
}

function sentTo(
  known: DatasetEntry | undefined,
  { targetDataset, source, base, stream, wrapping }: SentBefore,
): DatasetEntry {
  const txgs = new Map(basesOf(source).map((one) => [one.guid, one]));
  const isBefore = ({ guid }: SnapshotEntry): boolean => {
    const at = txgs.get(guid);
    return at !== undefined && isAfter(base, at);
  };
  // a later step that arrived implies that there is neither partial state nor a snapshot of the target's own
  const { resumeToken: _, ...entry } =
    known && known.snapshots.length > 0 ? known : assumedReplica(targetDataset, source, stream);
  const snapshots = entry.snapshots.filter(isBefore);
  return { ...entry, ...(wrapping && { wrapping }), written: 0, snapshots: [...snapshots, arrived(base, snapshots)] };
}

const assumedReplica = (
  targetDataset: string,
  { type, encryption }: DatasetEntry,
  stream: string | undefined,
): DatasetEntry => ({
  ...emptyDataset(targetDataset),
  type,
  // whether its key is loaded, and its encryption root, are unknown
  ...(encryption !== 'off' && { encryption: 'on' }),
  ...(stream !== undefined && { stream }),
});

const arrived = ({ name, guid }: Base, before: readonly SnapshotEntry[]): SnapshotEntry => ({
  name,
  guid,
  createtxg: String(BigInt(before.at(-1)?.createtxg ?? 0) + 1n),
  ...noSizes,
  userrefs: 0,
});
