import { statusKey } from '../../../lib/bus/subjects.ts';
import { type Base, basesOf } from '../../../lib/plan/inventory/bases.ts';
import { emptyInventory } from '../../../lib/plan/predict-target.ts';
import { isNewer, type SentBefore, withSent } from '../../../lib/plan/sent-before.ts';
import { isRawMark, markOf, ownMark } from '../../../lib/plan/steps/initial-flags.ts';
import type { DatasetEntry, Inventory } from '../../../schemas/inventory.ts';
import type { StatusEntry } from '../../../schemas/status.ts';
import type { LastKnownTarget } from '../../../schemas/stored.ts';
import type { StreamWish } from '../../../schemas/stream.ts';
import { cursorsOf, isTentative } from '../bases/cursor-name.ts';
import type { Place } from './known-targets.ts';

type NotedRow = Pick<StatusEntry, 'sent' | 'stream' | 'wrapping'>;

/** What this host has besides a known target to tell what a target has: its own listing, and its rows in `zfs-status`. */
export interface Records {
  readonly source: Inventory;
  /** By key. */
  readonly rows: ReadonlyMap<string, NotedRow>;
  readonly wish: StreamWish;
}

/** What a target is known to have without being seen now. */
export interface KnownTarget {
  readonly target: Inventory;
  /** More is known than what was seen: `target` is to be remembered instead. */
  readonly isNews: boolean;
  /** Nothing was ever sent there, as far as anybody knows. */
  readonly isUnknown: boolean;
  /** Datasets of the target that were sent there, and of which nobody knows what they have. */
  readonly lost: readonly string[];
  /** Datasets of the target of which nobody knows how their chain is to go on: with which flags, or what a raw stream does to their keys. */
  readonly unsure: ReadonlySet<string>;
  /** Encrypted ones that were sent to since they were seen: only what wraps their key is known, not what takes it from them. */
  readonly unseenKeys: ReadonlySet<string>;
}

/**
 * What a target has that does not answer: what it had when it was seen last, and what was sent there since, by whatever channel.
 * That is told by the row of each dataset, or by its cursor. Where the target has gone back meanwhile it refuses what is stored for it,
 * for want of the base.
 * @param lastKnown what is remembered of the place; undefined where nothing is
 */
export function knownTarget(
  place: Place,
  { source, rows, wish }: Records,
  lastKnown: Pick<LastKnownTarget, 'target' | 'unseenKeys'> | undefined,
): KnownTarget {
  const seen = lastKnown?.target;
  const top = source.datasets[0]?.name ?? '';
  const before = seen ?? emptyInventory(place.host, place.root);
  const entries = new Map(before.datasets.map((entry) => [entry.name, entry]));
  const sent: SentBefore[] = [];
  const lost: string[] = [];
  const unsure = new Set<string>();
  const unseenKeys = new Set(lastKnown?.unseenKeys);
  for (const dataset of source.datasets) {
    const name = `${place.root}${dataset.name.slice(top.length)}`;
    const row = rows.get(statusKey({ source: source.host, dataset: dataset.name, target: place.host, into: name }));
    const cursors = cursorsOf({ host: place.host, dataset: name }, dataset.bookmarks);
    const base = baseOf(dataset, row, cursors.findLast((cursor) => !isTentative(cursor.name))?.guid);
    const entry = seen && entries.get(name);
    if (base === undefined) {
      // what was stored for one that was seen to lack it may have expired, and is stored again
      if (!entry && (row?.sent !== undefined || (!seen && cursors.length > 0))) lost.push(name);
      continue;
    }
    if (entry && !isNewer({ source: dataset, base }, entry)) continue;
    const stream = markFor(dataset, row?.stream, wish);
    const hadSnapshots = entry !== undefined && entry.snapshots.length > 0;
    const began = stream ?? (hadSnapshots ? ownMark(entry.stream, dataset.guid) : undefined);
    const isPlain = began === undefined ? dataset.encryption === 'off' : !isRawMark(began);
    const wrapping = isPlain ? undefined : (row?.wrapping ?? (hadSnapshots ? entry.wrapping : undefined));
    if (wrapping) unseenKeys.add(name);
    else if (!isPlain || (began === undefined && !hadSnapshots)) unsure.add(name);
    sent.push({ name, source: dataset, base, stream, wrapping });
  }
  return {
    target: withSent(before, sent),
    isNews: sent.length > 0,
    isUnknown: seen === undefined && sent.length === 0,
    lost,
    unsure,
    unseenKeys,
  };
}

/** The newest snapshot that the target is known to have, of those that the source has, or has a bookmark of. */
function baseOf(dataset: DatasetEntry, row: NotedRow | undefined, cursor: string | undefined) {
  const find = (guid: string | undefined): Base | undefined => basesOf(dataset).find((base) => base.guid === guid);
  return find(row?.sent?.guid) ?? find(cursor);
}

/** What a chain began with: as its row has noted it, or, of what is not encrypted, as the request says. */
function markFor(dataset: DatasetEntry, noted: string | undefined, wish: StreamWish): string | undefined {
  const own = ownMark(noted, dataset.guid);
  if (own !== undefined || dataset.encryption !== 'off' || wish.largeBlock === undefined) return own;
  return markOf(dataset.guid, wish.largeBlock ? ['large-block'] : []);
}
