import { JetStreamApiError, type JetStreamClient, type JetStreamManager, type StreamInfo } from '@nats-io/jetstream';
import { type ObjectStore, Objm, StorageType } from '@nats-io/obj';
import { headers, nuid } from '@nats-io/transport-node';
import { ZpsendError } from '../../../schemas/errors.ts';
import { withCopies } from '../copies.ts';
import { type JetStreamAt, jetStreamOf, managerOf, nameAt } from '../jetstream.ts';
import { streamsBucket } from '../subjects.ts';
import type { StoreAt } from './connection.ts';
import { isGone, translate } from './failures.ts';
import { getChunks } from './get-chunks.ts';
import { inTime, patientMs } from './in-time.ts';
import { putChunks } from './put-chunks.ts';

/** An object in a bucket. */
export interface StoredObject {
  readonly name: string;
  readonly bytes: number;
  readonly digest: string;
  /** Those that were put later have a higher one. */
  readonly seq: number;
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
  /** Of all objects, in no order. The server has them in memory, where to read an object is to read what lies around it. */
  names(): Promise<string[]>;
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

/** base64url with its padding, as the object store has it (ADR-20). */
const encoded = (bytes: Buffer): string => bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '_');
const digestOf = (sha256: Buffer): string => `SHA-256=${encoded(sha256)}`;

function bucketOf({ bulk }: StoreAt, source: string, called: string, { store, js, jsm }: Clients): StreamsBucket {
  const bucket = streamsBucket(source);
  const stream = `OBJ_${bucket}`;
  const metas = `$O.${bucket}.M.`;
  const metaOf = (name: string): string => metas + encoded(Buffer.from(name));
  const chunksOf = (of: string): string => `$O.${bucket}.C.${of}`;
  const attempt = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (thrown) {
      throw translate(thrown, `${what} ${called}`);
    }
  };
  /** An answer, unless the connection that it would come by is lost. */
  async function asked<T>(work: () => Promise<T>, ms = patientMs): Promise<T> {
    if (!bulk.connected) throw new ZpsendError('UNREACHABLE', 'not connected to NATS');
    const lost = Promise.withResolvers<never>();
    const end = bulk.onDisconnected(() =>
      lost.reject(new ZpsendError('UNREACHABLE', 'the connection to NATS was lost')),
    );
    try {
      return await inTime(Promise.race([work(), lost.promise]), bucket, ms);
    } finally {
      end();
    }
  }
  const purge = (filter: string) => asked(() => jsm.streams.purge(stream, { filter }));
  const infoOf = (name: string) => asked(() => store.info(name));
  async function look(filter?: string): Promise<StreamInfo | undefined> {
    try {
      const options = filter === undefined ? {} : { subjects_filter: filter };
      return await asked(() => jsm.streams.info(stream, options), 3 * patientMs);
    } catch (thrown) {
      if (isGone(thrown)) return undefined;
      throw translate(thrown, `looking at ${called}`);
    }
  }
  return {
    source,
    put: (name, bytes, description) =>
      attempt(`storing ${name} in`, async () => {
        const old = await infoOf(name);
        const id = nuid.next();
        const removeChunks = () => purge(chunksOf(id)).catch(() => {});
        const { count, size, sha256 } = await putChunks(bulk, chunksOf(id), bytes).catch(async (thrown) => {
          await removeChunks();
          throw thrown;
        });
        const digest = digestOf(sha256);
        const info = {
          ...{ name, description, options: { max_chunk_size: size }, bucket, nuid: id, size: bytes.length },
          ...{ chunks: count, digest, deleted: false, mtime: new Date().toISOString() },
        };
        const rollup = headers();
        rollup.set('Nats-Rollup', 'sub');
        const publishing = () =>
          js.publish(metaOf(name), JSON.stringify(info), { headers: rollup, timeout: patientMs });
        const { seq } = await asked(publishing).catch(async (thrown) => {
          // when the answer was lost it may be stored, and needs them
          if (thrown instanceof JetStreamApiError) await removeChunks();
          throw thrown;
        });
        if (old) await purge(chunksOf(old.nuid)).catch(() => {});
        return { name, bytes: bytes.length, digest, seq };
      }),
    get: (name, most, into) =>
      attempt(`reading ${name} from`, async () => {
        const info = await infoOf(name);
        if (!info || info.deleted) return undefined;
        if (info.options?.link || !(info.size <= most) || typeof info.digest !== 'string') {
          throw new ZpsendError(
            'STREAM_BROKEN',
            `${name} was written over by something else, or has more than ${most} bytes`,
          );
        }
        const { size, digest, revision } = info;
        const bytes = into && into.length >= size ? into.subarray(0, size) : Buffer.allocUnsafeSlow(size);
        const sha256 = await getChunks(bulk, jsm, { stream, subject: chunksOf(info.nuid), name }, bytes);
        if (digestOf(sha256) !== digest) {
          throw new ZpsendError(
            'STREAM_BROKEN',
            `${name} is damaged: its digest is ${digestOf(sha256)}, not ${digest}`,
          );
        }
        return { object: { name, bytes: size, digest, seq: revision }, bytes };
      }),
    names: () =>
      attempt('listing', async () => {
        const { state } = (await look(`${metas}>`)) ?? {};
        return Object.keys(state?.subjects ?? {}).map((subject) =>
          Buffer.from(subject.slice(metas.length), 'base64url').toString(),
        );
      }),
    remove: (name) =>
      attempt(`removing ${name} from`, async () => {
        const info = await infoOf(name);
        if (!info) return;
        // the library would put a mark in its place, for which a full bucket has no room
        await purge(metaOf(name));
        await purge(chunksOf(info.nuid));
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

interface Clients {
  readonly store: ObjectStore;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
}

/** A source's streams, for one who reads them; need not be there. */
export async function openStreams(at: StoreAt, source: string): Promise<StreamsBucket> {
  const called = nameAt(at, streamsBucket(source));
  try {
    const js = jetStreamOf(at, patientMs);
    const store = await new Objm(js).open(streamsBucket(source), false);
    return bucketOf(at, source, called, { store, js, jsm: await managerOf(at, patientMs) });
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
