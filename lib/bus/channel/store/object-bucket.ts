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
  /** Those that were put later have a higher one. */
  readonly seq: number;
  /** What its chunks are called: another one every time it is put; and how many there are. */
  readonly id: string;
  readonly chunks: number;
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
  /** Names of objects some of whose bytes are there: of those too that are being put, or never were whole. */
  begun(): Promise<string[]>;
  /** For how long, in milliseconds by the server's clocks, nothing was stored of any of these; undefined where there is nothing of them. */
  idle(names: readonly string[]): Promise<number | undefined>;
  /** Is all of these there, as they were put? Nobody is to remove them before, but whoever takes a sender for dead. */
  areWhole(objects: readonly StoredObject[]): Promise<boolean>;
  /** Removes an object with all that tells of it, or what there is of one that never was whole. One that is not there is no error. */
  remove(name: string): Promise<void>;
  /** Bytes that it may hold; undefined where there is no end, or no bucket. */
  bound(): Promise<number | undefined>;
  /** Changes with everything that is put or removed; undefined where there is no bucket. */
  mark(): Promise<string | undefined>;
}

function writesTo(access: BucketAccess): Pick<StreamsBucket, 'put' | 'remove'> {
  const { at, js, bucket, stream, objects, attempt, asked, purge, metadataOf, countsOf } = access;
  /** Objects that a failed put may have left chunks of. */
  const untidy = new Set<string>();
  /** Removes all chunks of an object but those of one id. */
  async function tidy(name: string, but?: string): Promise<void> {
    for (const subject of Object.keys(await countsOf(objects.allChunks))) {
      if (objects.meant(subject) === name && (but === undefined || subject !== objects.chunks(but)))
        await purge(subject);
    }
    untidy.delete(name);
  }
  async function putMetadata(object: StoredObject, size: number, description: string): Promise<number> {
    const { name, bytes, digest, id, chunks } = object;
    const info = {
      ...{ name, description, options: { max_chunk_size: size }, bucket, nuid: id, size: bytes },
      ...{ chunks, digest, deleted: false, mtime: new Date().toISOString() },
    };
    const rollup = headers();
    rollup.set('Nats-Rollup', 'sub');
    const options = { headers: rollup, timeout: timing.store.answerMs };
    return (await asked(() => js.publish(objects.meta(name), JSON.stringify(info), options))).seq;
  }
  /** One that was written over is put again like one that is not there. */
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
          // what was answered is stored somewhere; here is where it is read
          const there = (await countsOf(objects.chunks(id)))[objects.chunks(id)] ?? 0;
          if (there !== count) throw new ZpsendError('UNREACHABLE', `${count - there} of its messages are not there`);
          const object = { name, bytes: bytes.length, digest: digestOf(sha256), seq: 0, id, chunks: count };
          const seq = await putMetadata(object, size, description).catch((thrown) => {
            // when the answer was lost it may be stored, and needs its chunks
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
        // the library would put a mark in its place, for which a full bucket has no room
        if (old || untidy.has(name)) await purge(objects.meta(name));
        if (old) await purge(objects.chunks(old.nuid));
        if (!old || untidy.has(name)) await tidy(name);
      }),
  };
}

type Reads = Pick<StreamsBucket, 'get' | 'names' | 'begun' | 'idle' | 'areWhole' | 'bound' | 'mark'>;

function readsFrom(access: BucketAccess): Reads {
  const { at, jsm, stream, objects, attempt, asked, metadataOf, look, countsOf } = access;
  const { dataConnection, deliveries } = at;
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
          { stream, subject, name, chunks, isThere, deliveries },
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
        Object.keys(await countsOf(objects.allMetas)).flatMap((subject) => objects.named(subject) ?? []),
      ),
    begun: () =>
      attempt('listing', async () => {
        const names = Object.keys(await countsOf(objects.allChunks)).flatMap((subject) => objects.meant(subject) ?? []);
        return [...new Set(names)];
      }),
    idle: (names) =>
      attempt('looking at', async () => {
        const info = await look(objects.allChunks);
        const all = new Set(names);
        const subjects = Object.keys(info?.state.subjects ?? {}).filter((subject) =>
          all.has(objects.meant(subject) ?? ''),
        );
        const now = info?.ts === undefined ? Date.now() : Date.parse(info.ts);
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
      const most = (await look())?.config.max_bytes ?? 0;
      return most > 0 ? most : undefined;
    },
    async mark() {
      const info = await look();
      return info && [info.created, info.state.last_seq, info.state.messages].join(' ');
    },
  };
}

/** A source's streams, for one who reads them; need not be there. */
export async function openStreams(at: StoreAt, source: string): Promise<StreamsBucket> {
  const called = nameAt(at, streamsBucket(source));
  try {
    const js = jetStreamOf(at, timing.store.answerMs);
    const access = accessTo(at, source, called, { js, jsm: await managerOf(at, timing.store.answerMs) });
    return { source, ...writesTo(access), ...readsFrom(access) };
  } catch (thrown) {
    throw translate(thrown, `opening ${called}`);
  }
}
