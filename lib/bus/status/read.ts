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

/** What is stored of one dataset and target. */
export interface StoredStatus extends StatusPlace {
  readonly entry: StatusEntry;
  readonly revision: number;
  /** When the server stored it, in milliseconds since the epoch of its own clock. */
  readonly stored: number;
}

/** The bucket at one moment, or what has changed in it since the one before. */
export interface StatusNews {
  readonly found: readonly StoredStatus[];
  /** Keys of entries that were deleted. */
  readonly gone: readonly string[];
  /** The server's clock, in milliseconds since the epoch. */
  readonly now: number;
  /** Everything that was told before is void: this is all there is. */
  readonly isWhole: boolean;
}

const stream = `KV_${statusBucket}`;

interface Reader {
  readonly bus: Bus;
  readonly manager: JetStreamManager;
  /** As a subject has them. */
  readonly keys: string;
}

/** What has changed is read one by one; after more changes than these, all of it is read anew. */
const mostNews = 10_000;

async function open(bus: Bus, keys: string): Promise<Reader> {
  return { bus, manager: await managerOf(bus, 4000), keys };
}

/** An entry, or the key of one that was deleted; undefined for what is no status, or not as its schema has it. */
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

/** Up to where the bucket is known: of one that was made anew, nothing is. */
interface Place {
  readonly created: string;
  readonly last: number;
}

type Told = readonly [StatusNews, Place];

const clockOf = (ts: string | undefined): number => (ts === undefined ? Date.now() : Date.parse(ts));

async function whole({ bus, keys }: Reader): Promise<Told> {
  const { info, found } = await readBucket(bus, statusBucket, keys, read);
  const { state, ts, created } = info;
  return [
    { ...sorted(found), now: clockOf(ts), isWhole: true },
    { created, last: state.last_seq },
  ];
}

/** What has been stored since. */
async function since(reader: Reader, place: Place): Promise<Told> {
  const { manager, keys } = reader;
  const { state, ts, created } = await manager.streams.info(stream);
  if (created !== place.created || state.last_seq - place.last > mostNews) return whole(reader);
  const news: (StoredStatus | string)[] = [];
  let last = place.last;
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
 * What the fleet's replication looks like, or one source's, or one source's to one target; undefined where there is no bucket.
 * @throws ZpsendError UNSUPPORTED when JetStream is off, UNREACHABLE when it does not answer, TOO_MUCH for more than is read
 */
export async function readStatus(bus: Bus, source?: string, target?: string): Promise<StatusNews | undefined> {
  const told = await unlessGone(open(bus, statusKeys(source, target)).then(whole), unreadable);
  return told?.[0];
}

/**
 * The same of the whole fleet, and after that what has changed each time it is asked for; undefined as long as there is no bucket.
 * @throws ZpsendError as readStatus
 */
export async function followStatus(bus: Bus): Promise<() => Promise<StatusNews | undefined>> {
  const reader = await open(bus, statusKeys());
  let place: Place | undefined;
  return async () => {
    const told = await unlessGone(place ? since(reader, place) : whole(reader), unreadable);
    place = told?.[1];
    return told?.[0];
  };
}
