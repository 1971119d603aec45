import type { BookmarkEntry } from '../../schemas/inventory.ts';

/** A bookmark's name (without its dataset) taken apart: whose cursor it is, and of what; undefined for any other bookmark. */
export function parseCursor(name: string): { key: string; guid: string } | undefined {
  const [, key, guid] = /^(zpsend_(?:[A-Za-z0-9_-]{1,64}_)?[0-9a-f]{8})_([0-9]{1,20})$/.exec(name) ?? [];
  return key !== undefined && guid !== undefined ? { key, guid } : undefined;
}

/** A bookmark that says of itself, in its name and its guid, that it is a cursor. */
export const isCursor = ({ name, guid }: Pick<BookmarkEntry, 'name' | 'guid'>): boolean =>
  parseCursor(name)?.guid === guid;
