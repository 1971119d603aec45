import { ZpsendError } from '../../../schemas/errors.ts';
import { openPooledReader, type PoolBuffer } from '../data-connection/buffer-pool.ts';
import type { ByteSource } from './byte-source.ts';

/** Where a pump puts the bytes, and what holds it up. */
export interface PumpTarget {
  /** Bytes that may be sent now. */
  room(): number;
  /** Sends at most `room()` bytes, which stay as they are until `flushed`. */
  send(bytes: Buffer, flushed: () => void): void;
  /** Why nothing can be sent any more. */
  failure(): Error | undefined;
  /** Calls back when there may be more room, or a failure. The function returned ends it. */
  onChange(wake: () => void): () => void;
}

/** One large read of a pipe at a time. What waits to be written is bounded by the window, not by this. */
const poolBuffers = { size: 256 * 1024, most: 16 };

/**
 * Sends a stream to its end, and reads no further than there is room, so that its producer slows down (I8).
 * @throws ZpsendError STREAM_BROKEN when the source ends before its end; or the target's failure
 */
export function pump(source: ByteSource, target: PumpTarget): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const memory = openPooledReader(poolBuffers);
  /** Read, but not sent for want of room. */
  let waiting: { bytes: Buffer; poolBuffer: PoolBuffer } | undefined;
  let ended = false;

  /** Sends what there is room for; true when nothing is left. */
  function send(): boolean {
    if (!waiting) return true;
    const { bytes, poolBuffer } = waiting;
    const length = Math.min(bytes.length, target.room());
    if (length > 0) {
      poolBuffer.retain();
      target.send(bytes.subarray(0, length), poolBuffer.release);
    }
    if (length < bytes.length) {
      waiting = { bytes: bytes.subarray(length), poolBuffer };
      return false;
    }
    waiting = undefined;
    poolBuffer.release();
    return true;
  }

  function wake(): void {
    const failure = target.failure();
    if (failure) reject(failure);
    else if (waiting && send()) {
      if (ended) resolve();
      else source.proceed();
    }
  }

  const stopWatching = target.onChange(wake);
  source.readInto({
    room: () => memory.room(),
    filled(length) {
      // the reader is paused while something waits, so this never forgets anything
      waiting = memory.filled(length);
      // what waits is held too: memory for the next read is asked for before it is sent
      waiting.poolBuffer.retain();
      return !target.failure() && send();
    },
    ended() {
      ended = true;
      if (!waiting) resolve();
    },
    failed: (reason) => reject(new ZpsendError('STREAM_BROKEN', `the stream broke off: ${reason}`)),
  });
  wake();
  return promise.finally(stopWatching);
}
