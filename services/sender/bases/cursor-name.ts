import { createHash } from 'node:crypto';
import { isCursor, parseCursor } from '../../../lib/plan/cursor-name.ts';
import type { BookmarkEntry } from '../../../schemas/inventory.ts';
import { datasetOf, maxNameLength } from '../../../schemas/names.ts';

/**
 * The cursor of a target: a bookmark, on the source, of the snapshot that the target has. The source may destroy all its
 * snapshots, and the next incremental still has its base (zfs-bookmark(8)). Its name identifies the target:
 * `pool/a#zpsend_<target host>_<hash of the target dataset>_<guid>`.
 */
export interface CursorTarget {
  readonly host: string;
  /** The dataset on that host. */
  readonly dataset: string;
}

/** 8 hex digits: a name of a dataset may have characters that are invalid in a bookmark. */
const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 8);

/** A target in 8 hex digits. */
export const targetHash = ({ host, dataset }: CursorTarget): string => hashOf(`${host}:${dataset}`);

/** A cursor's name begins with one of these; the second is for a dataset with a long name. */
const keysOf = ({ host, dataset }: CursorTarget): [string, string] => [
  `zpsend_${host}_${hashOf(dataset)}`,
  `zpsend_${targetHash({ host, dataset })}`,
];

/** The full name of the cursor of a snapshot with that guid; undefined where no name is short enough. */
export function cursorName(dataset: string, target: CursorTarget, guid: string): string | undefined {
  return keysOf(target)
    .map((key) => `${dataset}#${key}_${guid}`)
    .find((name) => name.length <= maxNameLength);
}

/**
 * The tentative cursor, which replaces a hold of a killed job. Which of the two held snapshots the target has is not known here:
 * the next job determines it, and removes the other cursor.
 * @param target its `targetHash`
 */
export const tentativeCursorName = (snapshot: string, target: string, guid: string): string =>
  `${datasetOf(snapshot)}#zpsend_${target}_${guid}`;

/** The cursors of this target among a listing's bookmarks, in their order. */
export function cursorsOf<B extends Pick<BookmarkEntry, 'name' | 'guid'>>(
  target: CursorTarget,
  bookmarks: readonly B[],
): B[] {
  const keys = keysOf(target);
  return bookmarks.filter((bookmark) => isCursor(bookmark) && keys.includes(parseCursor(bookmark.name)?.key ?? ''));
}

/** Is it a tentative cursor, by its name without the dataset? */
export const isTentative = (name: string): boolean => /^zpsend_[0-9a-f]{8}_[0-9]+$/.test(name);

export interface OldCursor {
  readonly name: string;
  readonly guid: string;
  /** The cursor that replaces it. */
  readonly newer: string;
}

/**
 * Cursors of a target that a newer one replaces, among a dataset's bookmarks in the order of createtxg. A tentative cursor is
 * never old: it may replace a hold (`tentativeCursorName`), and the target may lack the newer snapshot.
 */
export function oldCursors(bookmarks: readonly BookmarkEntry[]): OldCursor[] {
  const newest = new Map<string, string>();
  const cursors = bookmarks.filter((mark) => isCursor(mark) && !isTentative(mark.name));
  for (const { name } of cursors) newest.set(parseCursor(name)?.key ?? '', name);
  return cursors.flatMap(({ name, guid }) => {
    const newer = newest.get(parseCursor(name)?.key ?? '');
    return newer === undefined || newer === name ? [] : [{ name, guid, newer }];
  });
}
