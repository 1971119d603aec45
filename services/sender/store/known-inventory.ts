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
import type { StoreTarget } from './known-targets.ts';

type NotedRow = Pick<StatusEntry, 'sent' | 'stream' | 'wrapping'>;

/** The evidence about a target beside the known target: the source's listing, and the target's entries in `zfs-status`. */
export interface Records {
  readonly source: Inventory;
  /** By key. */
  readonly rows: ReadonlyMap<string, NotedRow>;
  readonly wish: StreamWish;
}

/** The known inventory of an offline target. */
export interface KnownTarget {
  readonly target: Inventory;
  /** Is more known than was recorded? Then `target` is to be recorded instead. */
  readonly isNews: boolean;
  /** Is there no record that anything was sent there? */
  readonly isUnknown: boolean;
  /** Datasets that were sent there, and whose snapshots are not known. */
  readonly lost: readonly string[];
  /** Datasets whose chain cannot be continued safely: its flags, or the effect of a raw stream on their keys, are not known. */
  readonly unsure: ReadonlySet<string>;
  /** Encrypted ones that were sent since they were listed: the wrapping of their key is known, but not the datasets that take it from them. */
  readonly unseenKeys: ReadonlySet<string>;
}

/**
 * The inventory of an offline target: its last listing, and the snapshots sent since, by any channel. These are in the status
 * entry of each dataset, or in its cursor. If the target was rolled back meanwhile, it rejects stored streams, whose base is missing.
 * @param lastKnown undefined if nothing is recorded
 */
export function knownTarget(
  place: StoreTarget,
  { source, rows, wish }: Records,
  lastKnown: Pick<LastKnownTarget, 'target' | 'unseenKeys'> | undefined,
): KnownTarget {
  const seen = lastKnown?.target;
  const top = source.datasets[0]?.name ?? '';
  const before = seen ?? emptyInventory(place.host, place.targetDataset);
  const entries = new Map(before.datasets.map((entry) => [entry.name, entry]));
  const sent: SentBefore[] = [];
  const lost: string[] = [];
  const unsure = new Set<string>();
  const unseenKeys = new Set(lastKnown?.unseenKeys);
  for (const dataset of source.datasets) {
    const targetDataset = `${place.targetDataset}${dataset.name.slice(top.length)}`;
    const row = rows.get(
      statusKey({ source: source.host, dataset: dataset.name, target: place.host, into: targetDataset }),
    );
    const cursors = cursorsOf({ host: place.host, dataset: targetDataset }, dataset.bookmarks);
    const base = baseOf(dataset, row, cursors.findLast((cursor) => !isTentative(cursor.name))?.guid);
    const entry = seen && entries.get(targetDataset);
    if (base === undefined) {
      // a stream for a dataset that was listed without it may have expired, and is stored again
      if (!entry && (row?.sent !== undefined || (!seen && cursors.length > 0))) lost.push(targetDataset);
      continue;
    }
    if (entry && !isNewer({ source: dataset, base }, entry)) continue;
    const stream = markFor(dataset, row?.stream, wish);
    const hadSnapshots = entry !== undefined && entry.snapshots.length > 0;
    const began = stream ?? (hadSnapshots ? ownMark(entry.stream, dataset.guid) : undefined);
    const isPlain = began === undefined ? dataset.encryption === 'off' : !isRawMark(began);
    const wrapping = isPlain ? undefined : (row?.wrapping ?? (hadSnapshots ? entry.wrapping : undefined));
    if (wrapping) unseenKeys.add(targetDataset);
    else if (!isPlain || (began === undefined && !hadSnapshots)) unsure.add(targetDataset);
    sent.push({ targetDataset, source: dataset, base, stream, wrapping });
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

/** The newest snapshot of the target that the source has, or has a bookmark of. */
function baseOf(dataset: DatasetEntry, row: NotedRow | undefined, cursor: string | undefined) {
  const find = (guid: string | undefined): Base | undefined => basesOf(dataset).find((base) => base.guid === guid);
  return find(row?.sent?.guid) ?? find(cursor);
}

/** The initial flags of a chain: those of its status entry, or those of the request if it is not encrypted. */
function markFor(dataset: DatasetEntry, noted: string | undefined, wish: StreamWish): string | undefined {
  const own = ownMark(noted, dataset.guid);
  if (own !== undefined || dataset.encryption !== 'off' || wish.largeBlock === undefined) return own;
  return markOf(dataset.guid, wish.largeBlock ? ['large-block'] : []);
}
