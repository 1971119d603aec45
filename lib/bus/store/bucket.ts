import { JetStreamApiError, type JetStreamManager, type StreamInfo } from '@nats-io/jetstream';
import { type ObjectStore, Objm, StorageType, setSha256Backend } from '@nats-io/obj';
import { ZpsendError } from '../../../schemas/errors.ts';
import { withCopies } from '../copies.ts';
import { type JetStreamAt, jetStreamOf, managerOf, nameAt } from '../jetstream.ts';
import { streamsBucket } from '../subjects.ts';
import { collect } from './collect.ts';
import { isGone, translate } from './failures.ts';
import { inTime, patientMs } from './in-time.ts';

// the library's own, in JavaScript, is four times slower
setSha256Backend('native');

/** An object as the bucket lists it. `nuid` is another one every time it is put. */
export interface StoredObject {
  readonly name: string;
  readonly bytes: number;
  readonly digest: string;
  readonly nuid: string;
}

/** The streams that one source host keeps: object store `zfs-streams-<source>`. Every failure is a ZpsendError. */
export interface StreamsBucket {
  readonly source: string;
  /** @throws ZpsendError NO_SPACE when the bucket is full, which it may not stay */
  put(name: string, bytes: Buffer, description: string): Promise<StoredObject>;
  /**
   * A whole object, held in memory; undefined where there is none.
   * @param most bytes
   * @param into where it is held, if it fits
   * @throws ZpsendError STREAM_BROKEN for one that is larger, or is not what its digest says
   */
  get(
    name: string,
    most: number,
    into?: Buffer,
  ): Promise<{ readonly object: StoredObject; readonly bytes: Buffer } | undefined>;
  /** All objects, in the order in which they were put; one without a name was written over. */
  list(): Promise<StoredObject[]>;
  /** Removes an object with all that tells of it. One that is not there is no error. */
  remove(name: string): Promise<void>;
  /** Bytes that it may hold; undefined where there is no end, or no bucket. */
  bound(): Promise<number | undefined>;
  /** Changes with everything that is put or removed; undefined where there is no bucket. */
  mark(): Promise<string | undefined>;
}

export interface BucketBounds {
  readonly maxBytes: number;
  /** After this many seconds an object goes, whoever waits for it. */
  readonly maxAgeSeconds: number;
  /** Copies in a cluster that has so many servers. */
  readonly replicas: number;
}

/** Bytes in one message: fewer cost more acknowledgements, and more the client copies several times as they arrive (measured). */
const chunkBytes = 96 * 1024;
const asStored = (info: { name: string; size: number; digest: string; nuid: string }): StoredObject => ({
  // where somebody has written over it, it says nothing
  name: typeof info.name === 'string' ? info.name : '',
  bytes: info.size,
  digest: info.digest,
  nuid: info.nuid,
});

function bucketOf(source: string, called: string, store: ObjectStore, jsm: JetStreamManager): StreamsBucket {
  const bucket = streamsBucket(source);
  const stream = `OBJ_${bucket}`;
  const attempt = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (thrown) {
      throw translate(thrown, `${what} ${called}`);
    }
  };
  async function look(): Promise<StreamInfo | undefined> {
    try {
      return await inTime(jsm.streams.info(stream), bucket);
    } catch (thrown) {
      if (isGone(thrown)) return undefined;
      throw translate(thrown, `looking at ${called}`);
    }
  }
  return {
    source,
    put: (name, bytes, description) =>
      attempt(`storing ${name} in`, async () => {
        const meta = { name, description, options: { max_chunk_size: chunkBytes } };
        return asStored(await store.putBlob(meta, bytes, { timeout: patientMs }));
      }),
    get: (name, most, into) =>
      attempt(`reading ${name} from`, async () => {
        const info = await inTime(store.info(name), name);
        if (!info || info.deleted) return undefined;
        // the library follows a link wherever it leads, round in a circle too
        if (info.options?.link || !(info.size <= most) || typeof info.digest !== 'string') {
          throw new ZpsendError('STREAM_BROKEN', `${name} is no object of zpsend's, or has more than ${most} bytes`);
        }
        const getting = store.get(name).then((result) => {
          // what it fails with comes by the stream too
          result?.error.catch(() => {});
          return result;
        });
        const found = await inTime(getting, name);
        if (!found) return undefined;
        const object = asStored(found.info);
        if (object.bytes > most) {
          found.data.cancel().catch(() => {});
          throw new ZpsendError('STREAM_BROKEN', `${name} has ${object.bytes} bytes, and may have ${most}`);
        }
        return { object, bytes: await collect(found.data, object.bytes, name, into) };
      }),
    list: () =>
      attempt('listing', async () => {
        const all = await inTime(store.list(), bucket, 3 * patientMs);
        // the stream's own order
        return all.map(asStored);
      }),
    remove: (name) =>
      attempt(`removing ${name} from`, async () => {
        const info = await inTime(store.info(name), name);
        if (!info) return;
        // the library would put a mark in its place, for which a full bucket has no room
        const meta = `$O.${bucket}.M.${Buffer.from(name).toString('base64url')}`;
        await jsm.streams.purge(stream, { filter: padded(meta) });
        await jsm.streams.purge(stream, { filter: `$O.${bucket}.C.${info.nuid}` });
      }),
    async bound() {
      const most = (await look())?.config.max_bytes ?? 0;
      return most > 0 ? most : undefined;
    },
    async mark() {
      const info = await look();
      return info && [info.created, info.state.last_seq, info.state.messages].join(' ');
    },
  };
}

/** base64url with its padding, as the object store has it (ADR-20). */
const padded = (subject: string): string => {
  const last = subject.length - subject.lastIndexOf('.') - 1;
  return subject + '='.repeat((4 - (last % 4)) % 4);
};

/** A source's streams, for one who reads them; need not be there. */
export async function openStreams(at: JetStreamAt, source: string): Promise<StreamsBucket> {
  const called = nameAt(at, streamsBucket(source));
  try {
    const store = await new Objm(jetStreamOf(at, patientMs)).open(streamsBucket(source), false);
    return bucketOf(source, called, store, await managerOf(at, patientMs));
  } catch (thrown) {
    throw translate(thrown, `opening ${called}`);
  }
}

/**
 * JetStream reserves what a bucket may hold, and has not that much (10047; 10005 in a cluster, where it also means too few
 * servers for the copies), or its account may not (10002).
 */
const isTooMuch = (thrown: unknown): boolean =>
  thrown instanceof JetStreamApiError && [10047, 10005, 10002].includes(thrown.code);
/** A smaller bucket is of no use, in bytes. */
const leastBytes = 64 * 1024 * 1024;

/**
 * Makes the bucket of a source's own streams; where JetStream has no room for one of that size, half of it, or half of that; where
 * it has not that many copies, one. One that was made meanwhile is as good.
 * @returns the bytes that it may hold
 */
export function makeStreams(at: JetStreamAt, source: string, bounds: BucketBounds): Promise<number> {
  return withCopies((replicas) => makeWith(at, source, { ...bounds, replicas }), bounds.replicas).catch((thrown) => {
    throw translate(thrown, `making ${streamsBucket(source)}`);
  });
}

async function makeWith(at: JetStreamAt, source: string, bounds: BucketBounds): Promise<number> {
  const buckets = new Objm(jetStreamOf(at, patientMs));
  for (let bytes = bounds.maxBytes; ; bytes = Math.floor(bytes / 2)) {
    try {
      const made = await buckets.create(streamsBucket(source), {
        description: `zpsend: streams of ${source} that wait for their targets`,
        storage: StorageType.File,
        replicas: bounds.replicas,
        max_bytes: bytes,
        // nanoseconds here, though KV has milliseconds
        ttl: bounds.maxAgeSeconds * 1e9,
      });
      return (await made.status()).streamInfo.config.max_bytes;
    } catch (thrown) {
      if (!isTooMuch(thrown) || bytes / 2 < leastBytes) throw thrown;
    }
  }
}
