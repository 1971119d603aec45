/** The planner orders by createtxg, a point in a pool's history (zfsprops(7)), never by a clock or a name (I4). */
export interface Dated {
  createtxg: string;
}

/** Compares two 64-bit decimal strings as numbers. */
function compareTxg(a: string, b: string): number {
  if (a.length === b.length) return a < b ? -1 : Number(a > b);
  return BigInt(a) < BigInt(b) ? -1 : Number(BigInt(a) > BigInt(b));
}

export const isAfter = (later: Dated, earlier: Dated): boolean => compareTxg(later.createtxg, earlier.createtxg) > 0;

/** A sorted copy, oldest first. Bookmarks of one snapshot share its createtxg and are sorted by name (I12). */
export const inOrder = <T extends Dated & { name: string }>(entries: readonly T[]): T[] =>
  entries.toSorted((a, b) => compareTxg(a.createtxg, b.createtxg) || (a.name < b.name ? -1 : 1));
