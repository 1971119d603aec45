import type { JetStreamClient, JetStreamManager, StreamInfo } from '@nats-io/jetstream';
import { timing } from '../../../time/timing.ts';
import { subjectsIn } from '../../jetstream/read-bucket.ts';
import { streamsBucket } from '../../subjects.ts';
import type { StoreAt } from './connection.ts';
import { connectionLost, isGone, translate } from './jetstream-errors.ts';
import { type Metadata, readMetadata } from './object-metadata.ts';
import { subjectsOf } from './object-subjects.ts';
import { withTimeout } from './timeout.ts';

export interface Clients {
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
}

/** What reads and writes of one bucket have in common. */
export interface BucketAccess extends Clients {
  readonly at: StoreAt;
  readonly bucket: string;
  /** The stream behind the bucket. */
  readonly stream: string;
  readonly objects: ReturnType<typeof subjectsOf>;
  /** Does something, and names it where it fails. @param what as in "listing" */
  attempt<T>(what: string, work: () => Promise<T>): Promise<T>;
  /** An answer, unless the connection that it would come by is lost. */
  asked<T>(work: () => Promise<T>, ms?: number): Promise<T>;
  purge(filter: string): Promise<unknown>;
  metadataOf(name: string): Promise<Metadata | undefined>;
  /** What the stream is, with the subjects of a filter; undefined where it is not there. */
  look(filter?: string): Promise<StreamInfo | undefined>;
  /** How many messages there are of each subject. */
  countsOf(filter: string): Promise<Record<string, number>>;
}

/** Subjects of a store that are listed: each object has two, and 16 GiB in the smallest segments are half a million. */
const mostSubjects = 600_000;

/** @param called the bucket's name in messages */
export function accessTo(at: StoreAt, source: string, called: string, { js, jsm }: Clients): BucketAccess {
  const { dataConnection } = at;
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
  async function asked<T>(work: () => Promise<T>, ms = timing.store.answerMs): Promise<T> {
    if (!dataConnection.connected) throw connectionLost();
    const lost = Promise.withResolvers<never>();
    const end = dataConnection.onDisconnected(() => lost.reject(connectionLost()));
    try {
      return await withTimeout(Promise.race([work(), lost.promise]), bucket, ms);
    } finally {
      end();
    }
  }
  const purge = (filter: string) => asked(() => jsm.streams.purge(stream, { filter }));
  const metadataOf = (name: string) => asked(() => readMetadata(jsm, stream, objects.meta(name), name));
  async function look(filter?: string): Promise<StreamInfo | undefined> {
    try {
      const work = () =>
        filter === undefined ? jsm.streams.info(stream) : subjectsIn(at, jsm, stream, filter, mostSubjects);
      return await asked(work, 3 * timing.store.answerMs);
    } catch (thrown) {
      if (isGone(thrown)) return undefined;
      throw translate(thrown, `looking at ${called}`);
    }
  }
  const countsOf = async (filter: string): Promise<Record<string, number>> =>
    (await look(filter))?.state.subjects ?? {};
  return { at, js, jsm, bucket, stream, objects, attempt, asked, purge, metadataOf, look, countsOf };
}
