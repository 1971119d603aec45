import type { JetStreamManager, NextMsgRequest, StoredMsg } from '@nats-io/jetstream';
import { type StatusEntry, statusEntrySchema } from '../../../schemas/status.ts';
import type { Bus } from '../connection/connect.ts';
import { managerOf } from '../jetstream/jetstream.ts';
import { unlessGone } from '../jetstream/kv-bucket.ts';
import { readBucket } from '../jetstream/read-bucket.ts';
import {
  keySubject,
  parseKeySubject,
  parseStatusKey,
  type StatusPlace,
  statusBucket,
  statusKeys,
} from '../subjects.ts';

/** The stored entry of one dataset and target. */
export interface StoredStatus extends StatusPlace {
  readonly entry: StatusEntry;
  readonly revision: number;
  /** When the server stored it, in milliseconds since the epoch of its own clock. */
  readonly stored: number;
}

/** The bucket at one moment, or its changes since the last read. */
export interface StatusNews {
  readonly found: readonly StoredStatus[];
  /** Keys of entries that were deleted. */
  readonly gone: readonly string[];
  /** The server's clock, in milliseconds since the epoch. */
  readonly now: number;
  /** Is this the whole bucket, so that earlier reads are void? */
  readonly isWhole: boolean;
}

const stream = `KV_${statusBucket}`;

interface Reader {
  readonly bus: Bus;
  readonly manager: JetStreamManager;
  /** As a subject has them. */
  readonly keys: string;
}

/** Changes are read one by one; after more than these the whole bucket is read again. */
const mostChanges = 10_000;

async function open(bus: Bus, keys: string): Promise<Reader> {
  return { bus, manager: await managerOf(bus, 4000), keys };
}

/** An entry, or the key of a deleted one; undefined for other data, and for entries that do not fit the schema. */
function read(message: StoredMsg): StoredStatus | string | undefined {
  const key = parseKeySubject(statusBucket, message.subject) ?? '';
  const place = parseStatusKey(key);
  if (!place) return undefined;
  if (message.header.get('KV-Operation') !== '') return key;
  try {
    const { data: entry } = statusEntrySchema.safeParse(message.json());
    return entry && { ...place, entry, revision: message.seq, stored: message.time.getTime() };
  } catch {
    return undefined;
  }
}

const sorted = (all: readonly (StoredStatus | string)[]): Pick<StatusNews, 'found' | 'gone'> => ({
  found: all.filter((one) => typeof one !== 'string'),
  gone: all.filter((one) => typeof one === 'string'),
});

/** Up to where the bucket was read. A bucket that was created again has to be read from its start. */
interface Position {
  readonly created: string;
  readonly last: number;
}

type Read = readonly [StatusNews, Position];

const clockOf = (ts: string | undefined): number => (ts === undefined ? Date.now() : Date.parse(ts));

async function whole({ bus, keys }: Reader): Promise<Read> {
  const { info, found } = await readBucket(bus, statusBucket, keys, read);
  const { state, ts, created } = info;
  return [
    { ...sorted(found), now: clockOf(ts), isWhole: true },
    { created, last: state.last_seq },
  ];
}

/** The changes since a position. */
async function since(reader: Reader, position: Position): Promise<Read> {
  const { manager, keys } = reader;
  const { state, ts, created } = await manager.streams.info(stream);
  if (created !== position.created || state.last_seq - position.last > mostChanges) return whole(reader);
  const news: (StoredStatus | string)[] = [];
  let last = position.last;
  while (last < state.last_seq) {
    const query: NextMsgRequest & { seq: number } = { seq: last + 1, next_by_subj: keySubject(statusBucket, keys) };
    const message = await manager.streams.getMessage(stream, query);
    const one = message ? read(message) : undefined;
    if (one) news.push(one);
    last = message?.seq ?? state.last_seq;
  }
  return [
    { ...sorted(news), now: clockOf(ts), isWhole: false },
    { created, last },
  ];
}

const unreadable = `the bucket ${statusBucket} cannot be read`;

/**
 * The replication status of all sources, of one source, or of one source and target; undefined where there is no bucket.
 * @throws ZpsendError UNSUPPORTED when JetStream is off, UNREACHABLE when it does not answer, TOO_MUCH for more entries than are read
 */
export async function readStatus(bus: Bus, source?: string, target?: string): Promise<StatusNews | undefined> {
  const result = await unlessGone(open(bus, statusKeys(source, target)).then(whole), unreadable);
  return result?.[0];
}

/**
 * The status of all sources at the first call, and at each later call its changes; undefined as long as there is no bucket.
 * @throws ZpsendError as readStatus
 */
export async function followStatus(bus: Bus): Promise<() => Promise<StatusNews | undefined>> {
  const reader = await open(bus, statusKeys());
  let position: Position | undefined;
  return async () => {
    const result = await unlessGone(position ? since(reader, position) : whole(reader), unreadable);
    position = result?.[1];
    return result?.[0];
  };
}
