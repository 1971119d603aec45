import { JetStreamApiError, type JetStreamManager, type StoredMsg, type StreamInfo } from '@nats-io/jetstream';
import pLimit from 'p-limit';
import { z } from 'zod';
import { tooMuch } from '../bounds.ts';
import { keySubject } from '../subjects.ts';
import { type JetStreamAt, managerOf } from './jetstream.ts';

/** Messages asked for at once. */
const atOnce = 32;
/** Subjects of which the last messages are read at most. */
const mostSubjects = 100_000;
/** How long each request to JetStream may take, in milliseconds. */
const timeout = 4000;

const totalSchema = z.union([
  z.object({ total: z.number().int().min(0) }),
  z.object({ error: z.object({ code: z.number(), err_code: z.number(), description: z.string() }) }),
]);

/** How many subjects of a stream a filter matches, without their names: those after the last of them are asked for. */
async function totalOf({ nc, domain }: JetStreamAt, stream: string, filter: string): Promise<number> {
  const api = domain === undefined ? '$JS.API' : `$JS.${domain}.API`;
  const query = JSON.stringify({ subjects_filter: filter, offset: 2 ** 31 - 1 });
  const answer = totalSchema.parse((await nc.request(`${api}.STREAM.INFO.${stream}`, query, { timeout })).json());
  if ('error' in answer) throw new JetStreamApiError(answer.error);
  return answer.total;
}

/**
 * A stream as it is now, with its subjects that a filter matches and how many messages each has. The client would take however many
 * there are, so it is asked only when they are few enough.
 * @throws ZpsendError TOO_MUCH for more than `most` of them; JetStreamApiError
 */
export async function subjectsIn(
  at: JetStreamAt,
  manager: JetStreamManager,
  stream: string,
  filter: string,
  most: number = mostSubjects,
): Promise<StreamInfo> {
  const { state } = await manager.streams.info(stream);
  if ((state.num_subjects ?? 0) > most && (await totalOf(at, stream, filter)) > most) {
    throw tooMuch(`${stream} (${filter})`, 'subjects', most);
  }
  return manager.streams.info(stream, { subjects_filter: filter });
}

/** Is it a value, and neither a deletion nor the mark of one that expired? */
export const isValue = ({ header }: Pick<StoredMsg, 'header'>): boolean =>
  header.get('KV-Operation') === '' && !header.has('Nats-Marker-Reason');

/** What bounds the reading of a bucket. */
export interface BucketBounds {
  readonly subjects: number;
  /** Of all values together. */
  readonly bytes: number;
  /** A larger value is passed over, in bytes. */
  readonly entry: number;
}

const usual: BucketBounds = { subjects: mostSubjects, bytes: 128 * 1024 * 1024, entry: 64 * 1024 };

/**
 * What `read` makes of the last message of each subject of a stream that a filter matches, and the stream as it was before. Of a
 * message no more is kept than that. Read by requests to the stream's leader alone: a user who may make a consumer can have the server
 * deliver what he has stored himself on any host's subject.
 * @throws ZpsendError TOO_MUCH for more of them than are read; JetStreamApiError
 */
export async function lastMessages<T>(
  at: JetStreamAt,
  stream: string,
  filter: string,
  read: (message: StoredMsg) => T | undefined,
  bounds: BucketBounds = usual,
): Promise<{ readonly info: StreamInfo; readonly found: readonly T[] }> {
  const manager = await managerOf(at, timeout);
  const info = await subjectsIn(at, manager, stream, filter, bounds.subjects);
  let bytes = 0;
  const found = await pLimit(atOnce).map(Object.keys(info.state.subjects ?? {}), async (subject) => {
    const message = await manager.streams.getMessage(stream, { last_by_subj: subject });
    if (!message || message.data.length > bounds.entry) return undefined;
    bytes += message.data.length;
    if (bytes > bounds.bytes) throw tooMuch(`${stream} (${filter})`, 'bytes', bounds.bytes);
    return read(message);
  });
  return { info, found: found.filter((one) => one !== undefined) };
}

/**
 * As lastMessages, of the values of a KV bucket.
 * @param keys as a subject has them, wildcards included
 */
export const readBucket = <T>(
  at: JetStreamAt,
  bucket: string,
  keys: string,
  read: (message: StoredMsg) => T | undefined,
  bounds?: BucketBounds,
): Promise<{ readonly info: StreamInfo; readonly found: readonly T[] }> =>
  lastMessages(at, `KV_${bucket}`, keySubject(bucket, keys), read, bounds);
