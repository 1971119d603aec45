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

/** What the reads and the writes of one bucket have in common. */
export interface BucketAccess extends Clients {
  readonly at: StoreAt;
  readonly bucket: string;
  /** The stream behind the bucket. */
  readonly stream: string;
  readonly objects: ReturnType<typeof subjectsOf>;
  /** Translates errors. @param what the action for the message, for example "listing" */
  attempt<T>(what: string, work: () => Promise<T>): Promise<T>;
  /** Waits for an answer; fails at once when the connection is lost. @param ms milliseconds */
  asked<T>(work: () => Promise<T>, ms?: number): Promise<T>;
  purge(filter: string): Promise<unknown>;
  metadataOf(name: string): Promise<Metadata | undefined>;
  /** The stream's state, with the subjects of a filter; undefined if there is no stream. */
  info(filter?: string): Promise<StreamInfo | undefined>;
  /** The number of messages of each subject. */
  countsOf(filter: string): Promise<Record<string, number>>;
}

/** The most subjects that are listed. Each object has two, and 16 GiB in the smallest segments have half a million. */
const mostSubjects = 600_000;

/** @param label the bucket's name in messages */
export function accessTo(at: StoreAt, source: string, label: string, { js, jsm }: Clients): BucketAccess {
  const { dataConnection } = at;
  const bucket = streamsBucket(source);
  const stream = `OBJ_${bucket}`;
  const objects = subjectsOf(source);
  const attempt = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (thrown) {
      throw translate(thrown, `${what} ${label}`);
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
  async function info(filter?: string): Promise<StreamInfo | undefined> {
    try {
      const work = () =>
        filter === undefined ? jsm.streams.info(stream) : subjectsIn(at, jsm, stream, filter, mostSubjects);
      return await asked(work, 3 * timing.store.answerMs);
    } catch (thrown) {
      if (isGone(thrown)) return undefined;
      throw translate(thrown, `inspecting ${label}`);
    }
  }
  const countsOf = async (filter: string): Promise<Record<string, number>> =>
    (await info(filter))?.state.subjects ?? {};
  return { at, js, jsm, bucket, stream, objects, attempt, asked, purge, metadataOf, info, countsOf };
}
