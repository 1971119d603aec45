import type { Readable } from 'node:stream';
import { ZpsendError } from '../../../schemas/errors.ts';

/** Where a pump puts the bytes, and what holds it up. */
export interface PumpTarget {
  /** Bytes that may be sent now. */
  room(): number;
  /** Sends at most `room()` bytes, which stay as they are until they are written. */
  send(bytes: Buffer): void;
  /** Why nothing can be sent any more. */
  failure(): Error | undefined;
  /** Tells when there may be more room, or a failure. The function returned ends it. */
  onChange(wake: () => void): () => void;
}

/**
 * Sends a stream to its end, and reads no further than there is room, so that its producer slows down (I8).
 * @throws ZpsendError STREAM_BROKEN when the source ends before its end; or the target's failure
 */
export function pumpReadable(source: Readable, target: PumpTarget): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let waiting: Buffer | undefined;
  let ended = false;

  function advance(): void {
    const failure = target.failure();
    if (waiting && !failure) {
      const length = Math.min(waiting.length, target.room());
      if (length > 0) target.send(waiting.subarray(0, length));
      waiting = length < waiting.length ? waiting.subarray(length) : undefined;
    }
    if (failure || waiting) source.pause();
    else if (!ended) source.resume();
    if (failure) reject(failure);
    else if (ended && !waiting) resolve();
  }

  const data = (bytes: Buffer): void => {
    waiting = waiting ? Buffer.concat([waiting, bytes]) : bytes;
    advance();
  };
  const end = (): void => {
    ended = true;
    advance();
  };
  const error = (cause: Error): void =>
    reject(new ZpsendError('STREAM_BROKEN', `the stream cannot be read: ${cause.message}`, undefined, { cause }));
  const close = (): void => {
    if (!ended) reject(new ZpsendError('STREAM_BROKEN', 'the stream broke off before its end'));
  };
  source.on('data', data).once('end', end).once('error', error).once('close', close);
  const unwatch = target.onChange(advance);
  if (source.readableEnded) end();
  else if (source.destroyed) close();
  else advance();
  return promise.finally(() => {
    unwatch();
    source.off('data', data).off('end', end).off('close', close);
  });
}
