import type { DatasetEntry, SnapshotEntry } from '../../schemas/inventory.ts';
import type { Step } from '../../schemas/plan.ts';
import type { Dated } from './txg.ts';
import { isAfter } from './txg.ts';

/** What an incremental can start from at the source: a snapshot, or a bookmark of one that is gone (zfs-bookmark(8)). */
export interface Base extends Dated {
  /** Without its dataset. */
  name: string;
  guid: string;
  kind: 'snapshot' | 'bookmark';
}

export const asBase = ({ name, guid, createtxg }: SnapshotEntry): Base => ({ name, guid, createtxg, kind: 'snapshot' });

/** Every base of a dataset. Where a snapshot has bookmarks too, the snapshot comes first. */
export const basesOf = ({ snapshots, bookmarks }: DatasetEntry): Base[] => [
  ...snapshots.map(asBase),
  ...bookmarks.map(({ name, guid, createtxg }): Base => ({ name, guid, createtxg, kind: 'bookmark' })),
];

/** The newest base of the source whose snapshot the target has, by guid and by the source's createtxg (I4). */
export function newestCommon(source: DatasetEntry, target: DatasetEntry): Base | undefined {
  const held = new Set(target.snapshots.map((entry) => entry.guid));
  let newest: Base | undefined;
  for (const base of basesOf(source)) {
    if (held.has(base.guid) && (newest === undefined || isAfter(base, newest))) newest = base;
  }
  return newest;
}

/** `@name` or `#name`. */
export const leafOfBase = ({ name, kind }: Base): string => `${kind === 'snapshot' ? '@' : '#'}${name}`;

/** A base as a step names it. */
export const fromOf = (dataset: string, base: Base): NonNullable<Step['from']> => ({
  name: `${dataset}${leafOfBase(base)}`,
  guid: base.guid,
  kind: base.kind,
});
