import type { DatasetEntry, Inventory, KeyWrapping, SnapshotEntry } from '../../schemas/inventory.ts';
import { type Base, basesOf, newestCommon } from './inventory/bases.ts';
import { isAfter } from './inventory/txg.ts';
import { made, nothing } from './predict-target.ts';

/** A dataset that was sent to a target which cannot be seen now. */
export interface SentBefore {
  /** The target's name for it. */
  readonly name: string;
  readonly source: DatasetEntry;
  /** The newest snapshot that is known to have arrived, as the source has it. */
  readonly base: Base;
  /** What its chain began with; undefined where nothing is remembered. */
  readonly stream?: string | undefined;
  /** What wraps its key there; undefined where nothing is remembered of it. */
  readonly wrapping?: KeyWrapping | undefined;
}

/**
 * What a target has, with what was sent since it was seen, or though it never was. Older snapshots than those that were seen
 * are not claimed, nor anything of its pool.
 */
export function withSent(known: Inventory, sent: readonly SentBefore[]): Inventory {
  const datasets = new Map(known.datasets.map((entry) => [entry.name, entry]));
  for (const one of sent) datasets.set(one.name, sentTo(datasets.get(one.name), one));
  return { ...known, datasets: [...datasets.values()].sort((a, b) => (a.name < b.name ? -1 : 1)) };
}

/** Was more sent than what the target had when it was seen? */
export function isNewer({ source, base }: Pick<SentBefore, 'source' | 'base'>, seen: DatasetEntry): boolean {
  const common = newestCommon(source, seen);
  return common === undefined || isAfter(base, common);
}

function sentTo(seen: DatasetEntry | undefined, { name, source, base, stream, wrapping }: SentBefore): DatasetEntry {
  const txgs = new Map(basesOf(source).map((one) => [one.guid, one]));
  const isBefore = ({ guid }: SnapshotEntry): boolean => {
    const at = txgs.get(guid);
    return at !== undefined && isAfter(base, at);
  };
  // a step that has arrived since leaves neither partial state nor a snapshot of the target's own behind it
  const { resumeToken: _, ...entry } = seen && seen.snapshots.length > 0 ? seen : unseenReplica(name, source, stream);
  const snapshots = entry.snapshots.filter(isBefore);
  return { ...entry, ...(wrapping && { wrapping }), written: 0, snapshots: [...snapshots, arrived(base, snapshots)] };
}

const unseenReplica = (name: string, { type, encryption }: DatasetEntry, stream: string | undefined): DatasetEntry => ({
  ...made(name),
  type,
  // whether its key is loaded, and from where it takes it, nobody knows
  ...(encryption !== 'off' && { encryption: 'on' }),
  ...(stream !== undefined && { stream }),
});

const arrived = ({ name, guid }: Base, before: readonly SnapshotEntry[]): SnapshotEntry => ({
  name,
  guid,
  createtxg: String(BigInt(before.at(-1)?.createtxg ?? 0) + 1n),
  ...nothing,
  userrefs: 0,
});
