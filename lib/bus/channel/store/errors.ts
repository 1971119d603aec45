import { type ErrorBody, hasReason, ZpsendError } from '../../../../schemas/errors.ts';
import type { Manifest } from '../../../../schemas/stored.ts';
import { streamsBucket } from '../../subjects.ts';

/** For a stored stream that delays the receivers that share its read. */
export const tooSlow = new ZpsendError(
  'STREAM_BROKEN',
  'receivers of the same stream had to wait for the store, so it is stored from a separate stream',
);

/** For a stream that another job stores. A stream that is too large for one job is too large for another. */
export const otherJobFailed = (error: ErrorBody): ErrorBody =>
  hasReason(error, 'NO_SPACE', 'too-large')
    ? error
    : new ZpsendError('STREAM_BROKEN', `another job was to store this stream, and failed: ${error.message}`).toBody();

export const spaceTaken = (source: string): ZpsendError =>
  new ZpsendError('STREAM_BROKEN', `the store of ${source} is full, and another stream waits for space in it`);

export const storeFull = (source: string): ErrorBody =>
  new ZpsendError(
    'NO_SPACE',
    `the store of ${source} is full; sending continues when a target has received a stored stream`,
  ).toBody();

/** The error of a stream that waited for space until its patience ended. Other errors are returned unchanged. */
export const waitedTooLong = (error: ZpsendError, source: string, patienceMs: number): ZpsendError =>
  hasReason(error, 'NO_SPACE', 'store-full')
    ? new ZpsendError(
        'NO_SPACE',
        `the store of ${source} was full for ${Math.round(patienceMs / 1000)} s, and no target received anything: zpsend store ls ${source} lists ` +
          `the streams and their targets; start their receivers, or make the store larger (nats object edit ${streamsBucket(source)} ` +
          `--max-bucket-size, and send.store.maxBytes)`,
        error.details,
      )
    : error;

/** The share of the store for segments; the rest holds subjects, headers and known targets. */
const share = 0.98;

/** Would so many bytes fit into an empty store? */
export const fitsInto = (bound: number, bytes: number): boolean => bytes <= bound * share;

/** For a stream that would fill the store and wait for ever. @param what snapshot and targets */
export const tooLarge = (what: string, source: string, bound = 0): ZpsendError =>
  new ZpsendError(
    'NO_SPACE',
    `the stream of ${what} does not fit into the store of ${source}, which holds ${bound} bytes: send it directly once, ` +
      `or make the store larger (nats object edit ${streamsBucket(source)} --max-bucket-size, and send.store.maxBytes)`,
    { reason: 'too-large', bound },
  );

/** The description that `nats object ls` shows. */
export const titleOf = (targets: Manifest['targets']): string =>
  `${targets[0]?.start.to.name} for ${targets.map(({ host, start }) => `${host}:${start.targetDataset}`).join(', ')}`;
