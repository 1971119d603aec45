import type { DatasetEntry, SnapshotEntry } from '../../schemas/inventory.ts';
import { leafOf } from '../../schemas/names.ts';
import type { SendRequest } from '../../schemas/plan.ts';
import { type Base, basesOf } from './bases.ts';
import { type Refusal, refuse, someOf } from './refusal.ts';
import { isAfter } from './txg.ts';

/** What a request asks of one dataset, found in the source's listing. */
export type Wanted =
  /**
   * The target shall have these, oldest first and at least one, as one chain of single steps. With `named` the last one
   * is the goal, and a target that has it or something newer in common needs nothing, whatever else it holds.
   */
  | { kind: 'chain'; snapshots: SnapshotEntry[]; named: boolean }
  /** Exactly this incremental. */
  | { kind: 'incremental'; from: Base; to: SnapshotEntry }
  /** Exactly this full stream. */
  | { kind: 'full'; to: SnapshotEntry };

/** `dataset` is the source's, oldest first. */
export function wantedOf(request: SendRequest, host: string, dataset: DatasetEntry): Wanted | Refusal {
  const { from, full } = request;
  const leaf = leafOf(request.dataset);
  if (full && from !== undefined) {
    return refuse('BAD_REQUEST', `A full stream has no base: ask for --full or for -i ${from}, not for both.`);
  }
  if ((full || from !== undefined) && leaf === undefined) {
    const flag = full ? '--full' : `-i ${from}`;
    return refuse('BAD_REQUEST', `${flag} sends one snapshot: name it, as in ${dataset.name}@snapshot.`);
  }
  const { snapshots } = dataset;
  if (snapshots.length === 0) return nothingToSend(host, dataset);
  if (leaf === undefined) return { kind: 'chain', snapshots, named: false };
  const last = snapshots.findIndex((entry) => entry.name === leaf);
  const to = snapshots[last];
  if (to === undefined) return unknown(host, dataset, `@${leaf}`);
  if (full) return { kind: 'full', to };
  if (from === undefined) return { kind: 'chain', snapshots: snapshots.slice(0, last + 1), named: true };
  return incremental(host, dataset, from, to);
}

function incremental(host: string, dataset: DatasetEntry, from: string, to: SnapshotEntry): Wanted | Refusal {
  const kind = from.startsWith('#') ? 'bookmark' : 'snapshot';
  const base = basesOf(dataset).find((entry) => entry.kind === kind && entry.name === from.slice(1));
  if (base === undefined) return unknown(host, dataset, from);
  if (!isAfter(to, base)) {
    return refuse('BAD_REQUEST', `${dataset.name}${from} is not older than @${to.name}: an incremental goes forward.`);
  }
  return { kind: 'incremental', from: base, to };
}

function unknown(host: string, { name, snapshots, bookmarks }: DatasetEntry, leaf: string): Refusal {
  const isBookmark = leaf.startsWith('#');
  const newest = (isBookmark ? bookmarks : snapshots).map((entry) => entry.name);
  const sigil = isBookmark ? '#' : '@';
  const twin = !isBookmark && bookmarks.some((entry) => entry.name === leaf.slice(1));
  return refuse(
    'NO_SUCH_SNAPSHOT',
    `${name} on ${host} has no ${isBookmark ? 'bookmark' : 'snapshot'} ${leaf}. It has: ${someOf(newest, sigil)}.` +
      (twin ? ` There is a bookmark #${leaf.slice(1)}, which can be the base of an incremental.` : ''),
    { details: { host, dataset: name, newest: newest.slice(-5) } },
  );
}

const nothingToSend = (host: string, { name }: DatasetEntry): Refusal =>
  refuse('NO_SUCH_SNAPSHOT', `${name} on ${host} has no snapshots. Make one: zfs snapshot ${name}@NAME`, {
    details: { host, dataset: name, newest: [] },
  });
