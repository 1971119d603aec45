import type { DatasetEntry, SnapshotEntry } from '../../../schemas/inventory.ts';

/**
 * The tag of the hold on a target's newest received snapshot, the base of the next incremental. It protects that from the target's
 * own pruning. No job has this tag: job ids have six characters or more (services/sender/bases/holds.ts).
 */
export const baseTag = 'zpsend:base';

/** Snapshots of a dataset with any hold, by full name. */
export const heldIn = ({ name, snapshots }: Pick<DatasetEntry, 'name' | 'snapshots'>): string[] =>
  snapshots.filter(({ userrefs }) => userrefs > 0).map((snapshot) => `${name}@${snapshot.name}`);

export interface OldBase {
  readonly snapshot: SnapshotEntry;
  /** The one that is held instead. */
  readonly newer: SnapshotEntry;
}

/**
 * Of a dataset's snapshots with a last-received hold, all but the newest: two receivers may move the hold in any order.
 * @param based full names
 */
export function oldBases({ name, snapshots }: DatasetEntry, based: ReadonlySet<string>): OldBase[] {
  const bases = snapshots.filter((snapshot) => based.has(`${name}@${snapshot.name}`));
  const newer = bases.at(-1);
  return newer === undefined ? [] : bases.slice(0, -1).map((snapshot) => ({ snapshot, newer }));
}
