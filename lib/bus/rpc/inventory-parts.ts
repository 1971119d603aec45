import { ZpsendError } from '../../../schemas/errors.ts';
import type { SnapshotsRequest } from '../../../schemas/host.ts';
import { type DatasetEntry, type Inventory, listingPartSchema } from '../../../schemas/inventory.ts';
import { timing } from '../../time/timing.ts';
import { mostPartBytes } from '../bounds.ts';
import type { Bus } from '../connection/connect.ts';
import { subjects } from '../subjects.ts';
import { askerOf } from './asker.ts';
import type { Peer } from './machine-header.ts';
import { isComplete } from './parts.ts';
import { requestMany } from './request.ts';
import { askAgain } from './retry-request.ts';

/** The approximate size of a snapshot with the longest name. */
const bytesPerEntry = 400;
/** A part of a listing stays below the server's max_payload, which is 1 MiB unless configured otherwise. */
export const entriesPerPart = (maxPayload: number): number =>
  Math.floor((Math.min(maxPayload, mostPartBytes) * 0.75) / bytesPerEntry);

/** The size of a dataset without its snapshots, in entries: an origin and a resume token make it long. */
const weightOf = (dataset: DatasetEntry): number =>
  Math.ceil(JSON.stringify({ ...dataset, snapshots: [], bookmarks: [] }).length / bytesPerEntry);

/** Cuts a listing into parts of at most `limit` entries; a dataset with more snapshots continues in the next part. */
export function* toParts(datasets: readonly DatasetEntry[], limit: number): Generator<DatasetEntry[]> {
  let part: DatasetEntry[] = [];
  let room = limit;
  for (const dataset of datasets) {
    let snapshots = 0;
    let bookmarks = 0;
    const weight = weightOf(dataset);
    do {
      if (room <= 0) {
        yield part;
        part = [];
        room = limit;
      }
      const piece: DatasetEntry = {
        ...dataset,
        snapshots: dataset.snapshots.slice(snapshots, snapshots + room),
        bookmarks: dataset.bookmarks.slice(
          bookmarks,
          bookmarks + Math.max(0, room - (dataset.snapshots.length - snapshots)),
        ),
      };
      part.push(piece);
      snapshots += piece.snapshots.length;
      bookmarks += piece.bookmarks.length;
      room -= weight + piece.snapshots.length + piece.bookmarks.length;
    } while (snapshots < dataset.snapshots.length || bookmarks < dataset.bookmarks.length);
  }
  yield part;
}

/** The inverse of toParts: joins the pieces of each dataset. */
export function joinParts(pieces: readonly DatasetEntry[]): DatasetEntry[] {
  const joined: DatasetEntry[] = [];
  for (const piece of pieces) {
    const last = joined.at(-1);
    if (last?.name === piece.name && last.guid === piece.guid) {
      last.snapshots.push(...piece.snapshots);
      last.bookmarks.push(...piece.bookmarks);
    } else joined.push({ ...piece, snapshots: [...piece.snapshots], bookmarks: [...piece.bookmarks] });
  }
  return joined;
}

export interface ListingOptions {
  /** The subject of one instance; any instance when absent. */
  readonly subject?: string;
  /** Return a dataset whose contents the host does not show, instead of an error. */
  readonly bare?: boolean;
  /** The machine that answered for the host before. */
  readonly peer?: Peer | undefined;
  /** If no first part arrives in this time, ask another instance too, in milliseconds; 10 s when absent. */
  readonly againMs?: number | undefined;
}

/** The subject of a listing: a host may ask another host only under its own name. */
function listingSubject(bus: Bus, host: string): string {
  const asker = askerOf(bus);
  return asker === undefined || asker === host ? subjects.snapshots(host) : subjects.snapshotsFrom(host, asker);
}

/**
 * Requests the inventory of a host. If this host asks as a host, the reply is `restricted` to the datasets that concern it.
 * @throws ZpsendError NO_SUCH_DATASET, NOT_ALLOWED for a dataset that the host does not show, UNREACHABLE, TIMEOUT, STREAM_BROKEN for
 *   an incomplete listing, or the error of `zfs list` on that host
 */
export async function requestInventory(
  bus: Bus,
  host: string,
  what: SnapshotsRequest,
  { subject = listingSubject(bus, host), bare = false, peer, againMs }: ListingOptions = {},
): Promise<Inventory> {
  const ask = (onReply: () => void) =>
    requestMany(bus, subject, what, listingPartSchema, timing.request.listingMs, peer, undefined, onReply);
  const parts = await askAgain(ask, againMs);
  if (!isComplete(parts)) {
    throw new ZpsendError(
      'STREAM_BROKEN',
      `the listing of ${host} is incomplete (${parts.length} messages arrived): try again`,
      { host },
    );
  }
  const datasets = joinParts(parts.flatMap((part) => part.datasets));
  if (!bare && datasets.some(({ name, withheld }) => withheld && name === what.dataset))
    throw withheld(bus, host, what);
  const features = parts.find((part) => part.features)?.features;
  const active = parts.find((part) => part.active)?.active;
  const readOnlyPools = parts.find((part) => part.readOnlyPools)?.readOnlyPools;
  const restricted = parts.find((part) => part.restricted)?.restricted;
  return {
    host,
    datasets,
    ...(features && { features }),
    ...(active && { active }),
    ...(readOnlyPools && { readOnlyPools }),
    ...(restricted && { restricted }),
  };
}

/** The host shows only descendants of the dataset. */
function withheld(bus: Bus, host: string, { dataset = '' }: SnapshotsRequest): ZpsendError {
  const asker = askerOf(bus) ?? 'this user';
  return new ZpsendError(
    'NOT_ALLOWED',
    `${host} does not show ${asker} the snapshots of ${dataset}, only some of its descendants: ask for one of those`,
    { host, dataset, asker },
  );
}
