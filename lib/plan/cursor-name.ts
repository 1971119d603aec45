import type { BookmarkEntry } from '../../schemas/inventory.ts';

/** The key and the guid in a cursor's name (without its dataset); undefined for any other bookmark. */
export function parseCursor(name: string): { key: string; guid: string } | undefined {
  const [, key, guid] = /^(zpsend_(?:[A-Za-z0-9_-]{1,64}_)?[0-9a-f]{8})_([0-9]{1,20})$/.exec(name) ?? [];
  return key !== undefined && guid !== undefined ? { key, guid } : undefined;
}

/** Does the bookmark have a cursor's name, with its own guid? */
export const isCursor = ({ name, guid }: Pick<BookmarkEntry, 'name' | 'guid'>): boolean =>
  parseCursor(name)?.guid === guid;
