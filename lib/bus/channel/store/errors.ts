import { type ErrorBody, hasReason, ZpsendError } from '../../../../schemas/errors.ts';
import type { Manifest } from '../../../../schemas/stored.ts';
import { streamsBucket } from '../../subjects.ts';

/** Of a stream that shares the read of receivers. */
export const tooSlow = new ZpsendError(
  'STREAM_BROKEN',
  'receivers of the same stream had to wait for the store, so it is stored from a stream of its own',
);

/** What does not fit for one does not fit for another. */
export const notKept = (error: ErrorBody): ErrorBody =>
  hasReason(error, 'NO_SPACE', 'too-large')
    ? error
    : new ZpsendError(
        'STREAM_BROKEN',
        `it was to be stored with the stream of another job, which failed: ${error.message}`,
      ).toBody();

export const crowded = (source: string): ZpsendError =>
  new ZpsendError('STREAM_BROKEN', `the store of ${source} is full, and another stream waits for room in it already`);

export const noRoom = (source: string): ErrorBody =>
  new ZpsendError('NO_SPACE', `the store of ${source} is full; it goes on when a target has taken something`).toBody();

/** What a stream that waited for room in vain fails with; another failure is what it is. */
export const inVain = (error: ZpsendError, source: string, patienceMs: number): ZpsendError =>
  hasReason(error, 'NO_SPACE', 'store-full')
    ? new ZpsendError(
        'NO_SPACE',
        `the store of ${source} was full for ${Math.round(patienceMs / 1000)} s, and no target took anything: zpsend store ls ${source} tells ` +
          `what waits for whom; start their receivers, or make the store larger (nats object edit ${streamsBucket(source)} ` +
          `--max-bucket-size, and send.store.maxBytes)`,
        error.details,
      )
    : error;

/** What is not the streams' own: subjects and headers of their pieces, and what is remembered of targets. */
const share = 0.98;

/** Could so many bytes be stored where nothing else is? */
export const fitsInto = (bound: number, bytes: number): boolean => bytes <= bound * share;

/** It would fill the store, and wait for nothing. @param what snapshot and targets */
export const tooLarge = (what: string, source: string, bound = 0): ZpsendError =>
  new ZpsendError(
    'NO_SPACE',
    `the stream of ${what} does not fit into the store of ${source}, which holds ${bound} bytes: send it directly once, ` +
      `or make the store larger (nats object edit ${streamsBucket(source)} --max-bucket-size, and send.store.maxBytes)`,
    { reason: 'too-large', bound },
  );

/** What `nats object ls` shows of it. */
export const titleOf = (targets: Manifest['targets']): string =>
  `${targets[0]?.start.to.name} for ${targets.map(({ host, start }) => `${host}:${start.dataset}`).join(', ')}`;
