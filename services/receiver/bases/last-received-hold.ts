import type { DatasetEntry, SnapshotEntry } from '../../../schemas/inventory.ts';

/**
 * The tag that holds a target's newest received snapshot, the base of the next incremental, against the target's own pruner. It is
 * of no job: ids have six characters or more (services/sender/bases/holds.ts).
 */
export const baseTag = 'zpsend:base';

/** Snapshots of a dataset that somebody holds, by full name. */
export const heldIn = ({ name, snapshots }: Pick<DatasetEntry, 'name' | 'snapshots'>): string[] =>
  snapshots.filter(({ userrefs }) => userrefs > 0).map((snapshot) => `${name}@${snapshot.name}`);

export interface OldBase {
  readonly snapshot: SnapshotEntry;
  /** The one that is held in its place. */
  readonly newer: SnapshotEntry;
}

/**
 * Of a dataset's snapshots that are held as a base, all but the newest: two receivers may settle one dataset in any order.
 * @param based full names
 */
export function oldBases({ name, snapshots }: DatasetEntry, based: ReadonlySet<string>): OldBase[] {
  const bases = snapshots.filter((snapshot) => based.has(`${name}@${snapshot.name}`));
  const newer = bases.at(-1);
  return newer === undefined ? [] : bases.slice(0, -1).map((snapshot) => ({ snapshot, newer }));
}
