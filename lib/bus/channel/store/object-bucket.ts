import { JetStreamApiError } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import { ZpsendError } from '../../../../schemas/errors.ts';
import { timing } from '../../../time/timing.ts';
import { jetStreamOf, managerOf, nameAt } from '../../jetstream/jetstream.ts';
import { streamsBucket } from '../../subjects.ts';
import { accessTo, type BucketAccess } from './bucket-access.ts';
import type { StoreAt } from './connection.ts';
import { getChunks } from './get-chunks.ts';
import { translate } from './jetstream-errors.ts';
import { lastOf, type Metadata } from './object-metadata.ts';
import { digestOf, newId } from './object-subjects.ts';
import { putChunks } from './put-chunks.ts';

/** An object in a bucket. */
export interface StoredObject {
  readonly name: string;
  readonly bytes: number;
  readonly digest: string;
  /** Higher for objects that were stored later. */
  readonly seq: number;
  /** The id of its chunks, new for every upload. */
  readonly id: string;
  /** The number of its chunks. */
  readonly chunks: number;
}

/** The store of one source host: object store `zfs-streams-<source>`. Every failure is a ZpsendError. */
export interface StreamsBucket {
  readonly source: string;
  /** Stores an object. @throws ZpsendError NO_SPACE if the bucket is full; a later try may succeed */
  put(name: string, bytes: Buffer, description: string): Promise<StoredObject>;
  /**
   * Reads a complete object into memory; undefined if there is none.
   * @param most the most bytes that it may have
   * @param into memory for it, used if it fits
   * @throws ZpsendError STREAM_BROKEN if it is larger, or does not match its digest
   */
  get(
    name: string,
    most: number,
    into?: Buffer,
  ): Promise<{ readonly object: StoredObject; readonly bytes: Buffer } | undefined>;
  /** The names of all objects, in no order. The server has them in memory, so this reads nothing from disk. */
  names(): Promise<string[]>;
  /** The names of objects that have chunks, complete or not. */
  withChunks(): Promise<string[]>;
  /** How long ago the newest chunk of these objects was stored, in milliseconds by the server's clock; undefined if there is none. */
  idle(names: readonly string[]): Promise<number | undefined>;
  /** Are all of these objects there as they were stored? Another instance deletes them only if it takes their job for dead. */
  areWhole(objects: readonly StoredObject[]): Promise<boolean>;
  /** Deletes an object with its metadata, or the chunks of an incomplete one. A missing one is no error. */
  remove(name: string): Promise<void>;
  /** The bucket's size limit in bytes; undefined if there is no limit, or no bucket. */
  bound(): Promise<number | undefined>;
  /** A value that changes whenever an object is stored or deleted; undefined if there is no bucket. */
  mark(): Promise<string | undefined>;
}

/**
 * The metadata of an object, as other clients of the object store write it (ADR-20).
 * @param size bytes of each chunk but the last
 */
const infoOf = (
  { name, bytes, digest, id, chunks }: StoredObject,
  { bucket, size, description }: { readonly bucket: string; readonly size: number; readonly description: string },
) => ({
  ...{ name, description, options: { max_chunk_size: size }, bucket, nuid: id, size: bytes },
  ...{ chunks, digest, deleted: false, mtime: new Date().toISOString() },
});

function writesTo(access: BucketAccess): Pick<StreamsBucket, 'put' | 'remove'> {
  const { at, js, bucket, stream, objects, attempt, asked, purge, metadataOf, countsOf } = access;
  /** The names of objects of which a failed upload may have left chunks. */
  const untidy = new Set<string>();
  /** Deletes all chunks of an object except those of one id. */
  async function tidy(name: string, but?: string): Promise<void> {
    for (const subject of Object.keys(await countsOf(objects.allChunks))) {
      if (objects.nameOfChunk(subject) === name && (but === undefined || subject !== objects.chunks(but)))
        await purge(subject);
    }
    untidy.delete(name);
  }
  async function putMetadata(object: StoredObject, size: number, description: string): Promise<number> {
    const info = infoOf(object, { bucket, size, description });
    const rollup = headers();
    rollup.set('Nats-Rollup', 'sub');
    const options = { headers: rollup, timeout: timing.store.answerMs };
    return (await asked(() => js.publish(objects.meta(object.name), JSON.stringify(info), options))).seq;
  }
  /** The metadata before an upload. Invalid metadata counts as none, since the object is stored again. */
  const oldOf = (name: string): Promise<Metadata | undefined> =>
    metadataOf(name).catch((thrown) => {
      if (!(thrown instanceof ZpsendError) || thrown.code !== 'STREAM_BROKEN') throw thrown;
      untidy.add(name);
      return undefined;
    });
  return {
    put: (name, bytes, description) =>
      attempt(`storing ${name} in`, async () => {
        const old = await oldOf(name);
        const id = newId(name);
        let uncertain = false;
        const removeChunks = () => purge(objects.chunks(id)).catch(() => void untidy.add(name));
        try {
          const { count, size, sha256 } = await putChunks(
            at.dataConnection,
            { stream, subject: objects.chunks(id) },
            bytes,
          );
          // an answer shows that a chunk is stored on some server; reads use the leader, which must have all chunks
          const there = (await countsOf(objects.chunks(id)))[objects.chunks(id)] ?? 0;
          if (there !== count) throw new ZpsendError('UNREACHABLE', `${count - there} of its messages are not there`);
          const object = { name, bytes: bytes.length, digest: digestOf(sha256), seq: 0, id, chunks: count };
          const seq = await putMetadata(object, size, description).catch((thrown) => {
            // without an answer the metadata may be stored, and then it needs its chunks
            if (!(thrown instanceof JetStreamApiError)) uncertain = true;
            throw thrown;
          });
          if (old) await purge(objects.chunks(old.nuid)).catch(() => void untidy.add(name));
          if (untidy.has(name)) await tidy(name, id).catch(() => {});
          return { ...object, seq };
        } catch (thrown) {
          if (uncertain) untidy.add(name);
          else await removeChunks();
          throw thrown;
        }
      }),
    remove: (name) =>
      attempt(`removing ${name} from`, async () => {
        const old = await oldOf(name);
        // the library would write a delete marker, for which a full bucket has no space
        if (old || untidy.has(name)) await purge(objects.meta(name));
        if (old) await purge(objects.chunks(old.nuid));
        if (!old || untidy.has(name)) await tidy(name);
      }),
  };
}

type Reads = Pick<StreamsBucket, 'get' | 'names' | 'withChunks' | 'idle' | 'areWhole' | 'bound' | 'mark'>;

function readsFrom(access: BucketAccess): Reads {
  const { at, jsm, stream, objects, attempt, asked, metadataOf, info, countsOf } = access;
  const { dataConnection, deliveryPrefix } = at;
  return {
    get: (name, most, into) =>
      attempt(`reading ${name} from`, async () => {
        const metadata = await metadataOf(name);
        if (!metadata) return undefined;
        const { size, digest, seq, nuid: id, chunks } = metadata;
        if (size > most) throw new ZpsendError('STREAM_BROKEN', `${name} has ${size} bytes, and may have ${most}`);
        const subject = objects.chunks(id);
        const bytes = into && into.length >= size ? into.subarray(0, size) : Buffer.allocUnsafeSlow(size);
        const isThere = async () => ((await countsOf(subject))[subject] ?? 0) >= chunks;
        const sha256 = await getChunks(
          dataConnection,
          jsm,
          { stream, subject, name, chunks, isThere, deliveryPrefix },
          bytes,
        );
        if (digestOf(sha256) !== digest) {
          throw new ZpsendError(
            'STREAM_BROKEN',
            `${name} is damaged: its digest is ${digestOf(sha256)}, not ${digest}`,
            { reason: 'damaged' },
          );
        }
        return { object: { name, bytes: size, digest, seq, id, chunks }, bytes };
      }),
    names: () =>
      attempt('listing', async () =>
        Object.keys(await countsOf(objects.allMetas)).flatMap((subject) => objects.nameOfMeta(subject) ?? []),
      ),
    withChunks: () =>
      attempt('listing', async () => {
        const names = Object.keys(await countsOf(objects.allChunks)).flatMap(
          (subject) => objects.nameOfChunk(subject) ?? [],
        );
        return [...new Set(names)];
      }),
    idle: (names) =>
      attempt('inspecting', async () => {
        const state = await info(objects.allChunks);
        const all = new Set(names);
        const subjects = Object.keys(state?.state.subjects ?? {}).filter((subject) =>
          all.has(objects.nameOfChunk(subject) ?? ''),
        );
        const now = state?.ts === undefined ? Date.now() : Date.parse(state.ts);
        const messages = await Promise.all(subjects.map((subject) => asked(() => lastOf(jsm, stream, subject))));
        const ages = messages.flatMap((message) => (message ? [now - message.time.getTime()] : []));
        return ages.length > 0 ? Math.min(...ages) : undefined;
      }),
    areWhole: (all) =>
      attempt('listing', async () => {
        const counts = await countsOf(objects.all);
        const isWhole = ({ name, id, chunks }: StoredObject): boolean =>
          objects.meta(name) in counts && (counts[objects.chunks(id)] ?? 0) === chunks;
        return all.every(isWhole);
      }),
    async bound() {
      const most = (await info())?.config.max_bytes ?? 0;
      return most > 0 ? most : undefined;
    },
    async mark() {
      const stream = await info();
      return stream && [stream.created, stream.state.last_seq, stream.state.messages].join(' ');
    },
  };
}

/** Opens a source's store, which need not exist. */
export async function openStreams(at: StoreAt, source: string): Promise<StreamsBucket> {
  const label = nameAt(at, streamsBucket(source));
  try {
    const js = jetStreamOf(at, timing.store.answerMs);
    const access = accessTo(at, source, label, { js, jsm: await managerOf(at, timing.store.answerMs) });
    return { source, ...writesTo(access), ...readsFrom(access) };
  } catch (thrown) {
    throw translate(thrown, `opening ${label}`);
  }
}
