import type { Writable } from 'node:stream';
import type { RateLimit } from '../rate-limit.ts';

/** Writes to `zfs receive`, in pieces, as fast as a rate limit allows. */
export interface RateLimitedInput {
  /** Bytes that the sink took. */
  readonly written: number;
  /** Pieces that the sink took. */
  readonly pieces: number;
  attach(sink: Writable): void;
  /** Waits for the sink, and writes all bytes, until `signal` is aborted. @returns false if the sink takes no more */
  write(bytes: Buffer): Promise<boolean>;
  /** Closes the sink. */
  finish(): void;
  /** Stops waiting for a sink. */
  close(): void;
}

/** Bytes that are written at once; fewer with a rate limit. */
const pieceBytes = 1024 * 1024;

/** Waits until at least one byte may be written. @returns how many may, at most `most` */
async function roomIn(rateLimit: RateLimit | undefined, most: number): Promise<number> {
  if (!rateLimit) return most;
  for (;;) {
    const room = Math.min(most, rateLimit.room());
    if (room > 0) {
      rateLimit.take(room);
      return room;
    }
    await new Promise<void>((resolve) => {
      const end = rateLimit.onRoom(() => {
        end();
        resolve();
      });
    });
  }
}

/** @param signal when it is aborted, nothing more is written */
export function openRateLimitedInput(rateLimit: RateLimit | undefined, signal: AbortSignal): RateLimitedInput {
  const attached = Promise.withResolvers<Writable | undefined>();
  let sink: Writable | undefined;
  let isIgnoring = false;
  let written = 0;
  let pieces = 0;

  return {
    get written() {
      return written;
    },
    get pieces() {
      return pieces;
    },
    attach(to) {
      sink = to;
      to.on('error', () => {});
      attached.resolve(to);
    },
    async write(bytes) {
      if (isIgnoring) return false;
      const to = await attached.promise;
      for (let at = 0; at < bytes.length && !signal.aborted; ) {
        const piece = bytes.subarray(at, at + (await roomIn(rateLimit, Math.min(pieceBytes, bytes.length - at))));
        const isWritten = await new Promise<boolean>((resolve) => {
          if (!to || to.destroyed) resolve(false);
          else to.write(piece, (error) => resolve(!error));
        });
        // `zfs receive` may have all bytes that it needs: its exit code decides
        if (!isWritten) {
          isIgnoring = true;
          return false;
        }
        at += piece.length;
        written += piece.length;
        pieces += 1;
      }
      return true;
    },
    finish: () => void sink?.end(),
    close: () => attached.resolve(undefined),
  };
}
