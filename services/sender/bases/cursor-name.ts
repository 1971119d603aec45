import { createHash } from 'node:crypto';
import { isCursor, parseCursor } from '../../../lib/plan/cursor-name.ts';
import type { BookmarkEntry } from '../../../schemas/inventory.ts';
import { datasetOf, maxNameLength } from '../../../schemas/names.ts';

/**
 * The cursor of a target: a bookmark, on the source, of the snapshot that the target has, so that the source may destroy all
 * its snapshots and the next incremental still has its base (zfs-bookmark(8)). Its name says whose it is and of what:
 * `pool/a#zpsend_<target host>_<hash of the target dataset>_<guid>`.
 */
export interface CursorTarget {
  readonly host: string;
  /** The dataset there. */
  readonly dataset: string;
}

/** 8 hex digits: names of datasets hold characters that bookmarks have no room for. */
const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 8);

/** A target in 8 hex digits. */
export const targetHash = ({ host, dataset }: CursorTarget): string => hashOf(`${host}:${dataset}`);

/** Names begin with one of these, the second where the first is too long for its dataset. */
const keysOf = ({ host, dataset }: CursorTarget): [string, string] => [
  `zpsend_${host}_${hashOf(dataset)}`,
  `zpsend_${targetHash({ host, dataset })}`,
];

/** What the cursor of a snapshot with that guid is called on `dataset`, in full; undefined where no name is short enough. */
export function cursorName(dataset: string, target: CursorTarget, guid: string): string | undefined {
  return keysOf(target)
    .map((key) => `${dataset}#${key}_${guid}`)
    .find((name) => name.length <= maxNameLength);
}

/**
 * The bookmark that stands for a hold of a killed job once that is released. Which of the two snapshots that a job holds its
 * target has, only the target knows: the next job to it finds out, and removes what is not needed.
 * @param target its `targetHash`
 */
export const tentativeCursorName = (snapshot: string, target: string, guid: string): string =>
  `${datasetOf(snapshot)}#zpsend_${target}_${guid}`;

/** Those bookmarks of a listing that are cursors of this target, in the listing's order. */
export function cursorsOf<B extends Pick<BookmarkEntry, 'name' | 'guid'>>(
  target: CursorTarget,
  bookmarks: readonly B[],
): B[] {
  const keys = keysOf(target);
  return bookmarks.filter((bookmark) => isCursor(bookmark) && keys.includes(parseCursor(bookmark.name)?.key ?? ''));
}

/** Is it a cursor in the short form of the name (without its dataset)? */
export const isTentative = (name: string): boolean => /^zpsend_[0-9a-f]{8}_[0-9]+$/.test(name);

export interface OldCursor {
  readonly name: string;
  readonly guid: string;
  /** The cursor that stands in its place. */
  readonly newer: string;
}

/**
 * Cursors of one target that a newer one has made useless, of a dataset's bookmarks in the order of createtxg. Those in the
 * short form of the name never are: one may stand for a hold (`tentativeCursorName`), and then the target may lack the newer one.
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
