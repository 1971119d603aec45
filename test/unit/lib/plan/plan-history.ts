import type { BookmarkEntry, DatasetEntry, Inventory, SnapshotEntry } from '../../../../schemas/inventory.ts';
import type { Plan } from '../../../../schemas/plan.ts';
import type { SendRequest } from '../../../../schemas/request.ts';

/**
 * A history in one line: `@a,1 @b,2 #c,3`. The number is the guid; it is the createtxg as well unless a second one
 * follows (`@a,1,40`). Sizes are made from the guid: written = guid * 10, referenced = guid * 100.
 */
export function history(line: string): Pick<DatasetEntry, 'snapshots' | 'bookmarks'> {
  const snapshots: SnapshotEntry[] = [];
  const bookmarks: BookmarkEntry[] = [];
  for (const word of line.split(' ').filter(Boolean)) {
    const [, sigil, name, guid, txg] = /^([@#])([^,]+),(\d+)(?:,(\d+))?$/.exec(word) ?? [];
    if (name === undefined || guid === undefined) throw new Error(`not a history: ${word}`);
    const entry = { name, guid, createtxg: txg ?? guid };
    if (sigil === '#') bookmarks.push(entry);
    else snapshots.push({ ...entry, used: 0, referenced: Number(guid) * 100, written: Number(guid) * 10, userrefs: 0 });
  }
  return { snapshots, bookmarks };
}

/** A unique guid for each name, different from those in histories. */
const guidOf = (name: string): string =>
  [...name].reduce((sum, char) => (sum * 131n + BigInt(char.charCodeAt(0))) % 2n ** 62n, 7n).toString();

/** A dataset with that history; `more` has its other fields. */
export const dataset = (name: string, line: string, more: Partial<DatasetEntry> = {}): DatasetEntry => ({
  name,
  type: 'filesystem',
  guid: guidOf(name),
  createtxg: '1',
  used: 0,
  referenced: 0,
  written: 0,
  encryption: 'off',
  ...history(line),
  ...more,
});

export const inventory = (host: string, ...datasets: DatasetEntry[]): Inventory => ({ host, datasets });

export const request = (what: string, more: Partial<SendRequest> = {}): SendRequest => ({
  dataset: what,
  to: { host: 'dst' },
  ...more,
});

/** A plan in short: `full @a`, `@a -> @b`, `#a -> @b`; a refusal is its code. Steps name their dataset unless it is `own`. */
export function short(plan: Plan, own = 'zones/test'): string[] | string {
  if (!plan.ok) return plan.error.code;
  const cut = (name: string) => (name.startsWith(own) ? name.slice(own.length) : name);
  return plan.steps.map(({ type, to, from }) =>
    from === undefined ? `${type} ${cut(to.name)}` : `${cut(from.name)} -> ${cut(to.name)}`,
  );
}
