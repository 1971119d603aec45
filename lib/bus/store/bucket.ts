import { JetStreamApiError, type JetStreamClient, type JetStreamManager, type StreamInfo } from '@nats-io/jetstream';
import { type ObjectStore, Objm } from '@nats-io/obj';
import { headers } from '@nats-io/transport-node';
import { ZpsendError } from '../../../schemas/errors.ts';
import { jetStreamOf, managerOf, nameAt } from '../jetstream.ts';
import { streamsBucket } from '../subjects.ts';
import type { StoreAt } from './connection.ts';
import { isGone, translate } from './failures.ts';
import { getChunks } from './get-chunks.ts';
import { inTime, patientMs } from './in-time.ts';
import { digestOf, isToken, newId, subjectsOf } from './object-names.ts';
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
  /** In no order. The server has them in memory, where to read an object is to read what lies around it. */
  names(): Promise<StoredNames>;
  /** Removes an object with all that tells of it, or what there is of one that never was whole. One that is not there is no error. */
  remove(name: string): Promise<void>;
  /** Bytes that it may hold; undefined where there is no end, or no bucket. */
  bound(): Promise<number | undefined>;
  /** Changes with everything that is put or removed; undefined where there is no bucket. */
  mark(): Promise<string | undefined>;
}

export interface StoredNames {
  readonly whole: readonly string[];
  /** Of objects of which there are bytes only: they are being put, or whoever put them was killed. */
  readonly begun: readonly string[];
}

function bucketOf({ bulk }: StoreAt, source: string, called: string, { store, js, jsm }: Clients): StreamsBucket {
  const bucket = streamsBucket(source);
  const stream = `OBJ_${bucket}`;
  const objects = subjectsOf(source);
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
  const subjectsIn = async (filter: string): Promise<string[]> =>
    Object.keys((await look(filter))?.state.subjects ?? {});
  return {
    source,
    put: (name, bytes, description) =>
      attempt(`storing ${name} in`, async () => {
        const old = await infoOf(name);
        const id = newId(name);
        const removeChunks = () => purge(objects.chunks(id)).catch(() => {});
        const { count, size, sha256 } = await putChunks(bulk, objects.chunks(id), bytes).catch(async (thrown) => {
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
          js.publish(objects.meta(name), JSON.stringify(info), { headers: rollup, timeout: patientMs });
        const { seq } = await asked(publishing).catch(async (thrown) => {
          // when the answer was lost it may be stored, and needs them
          if (thrown instanceof JetStreamApiError) await removeChunks();
          throw thrown;
        });
        if (old && isToken(old.nuid)) await purge(objects.chunks(old.nuid)).catch(() => {});
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
        const sha256 = await getChunks(bulk, jsm, { stream, subject: objects.chunks(info.nuid), name }, bytes);
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
        const subjects = await subjectsIn(objects.all);
        const whole = new Set(subjects.flatMap((subject) => objects.named(subject) ?? []));
        const begun = new Set(subjects.flatMap((subject) => objects.meant(subject) ?? []));
        return { whole: [...whole], begun: [...begun].filter((name) => !whole.has(name)) };
      }),
    remove: (name) =>
      attempt(`removing ${name} from`, async () => {
        const info = await infoOf(name);
        // the library would put a mark in its place, for which a full bucket has no room
        if (info) await purge(objects.meta(name));
        if (info && isToken(info.nuid)) await purge(objects.chunks(info.nuid));
        if (info) return;
        for (const subject of await subjectsIn(objects.allChunks)) {
          if (objects.meant(subject) === name) await purge(subject);
        }
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
