import type { DatasetEntry, SnapshotEntry } from '../../../schemas/inventory.ts';
import type { Step } from '../../../schemas/plan.ts';

import { isCursor } from '../cursor-name.ts';
import type { Dated } from './txg.ts';
import { isAfter } from './txg.ts';

/** A base of an increment at the source: a snapshot, or a bookmark of a destroyed one (zfs-bookmark(8)). */
export interface Base extends Dated {
  /** Without its dataset. */
  name: string;
  guid: string;
  kind: 'snapshot' | 'bookmark';
}

export const asBase = ({ name, guid, createtxg }: SnapshotEntry): Base => ({ name, guid, createtxg, kind: 'snapshot' });

/**
 * Every base of a dataset. Of one snapshot, the snapshot itself comes first, then cursors, then other bookmarks. A redaction
 * bookmark is not a base: its increment contains the redacted blocks, and a raw one needs the key (openzfs#18491).
 */
export function basesOf({ snapshots, bookmarks }: DatasetEntry): Base[] {
  const marks = bookmarks.filter(({ redacted }) => !redacted);
  const [cursors, others] = [marks.filter(isCursor), marks.filter((mark) => !isCursor(mark))];
  return [
    ...snapshots.map(asBase),
    ...[...cursors, ...others].map(({ name, guid, createtxg }): Base => ({ name, guid, createtxg, kind: 'bookmark' })),
  ];
}

/** The newest base of the source that the target has as a snapshot, by guid and by the source's createtxg (I4). */
export function newestCommon(source: DatasetEntry, target: DatasetEntry): Base | undefined {
  const onTarget = new Set(target.snapshots.map((entry) => entry.guid));
  let newest: Base | undefined;
  for (const base of basesOf(source)) {
    if (onTarget.has(base.guid) && (newest === undefined || isAfter(base, newest))) newest = base;
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
