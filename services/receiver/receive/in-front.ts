import { Writable, type WritableOptions } from 'node:stream';

export type Callback = (error?: Error | null) => void;

/**
 * A stream that writes into another one, and is destroyed with it. As with `into` itself, an error here is never unhandled. It does
 * not prove a failure: `into` may have ended first.
 */
export function inFrontOf(into: Writable, how: Pick<WritableOptions, 'write' | 'writev' | 'final'>): Writable {
  const input = new Writable({
    ...how,
    destroy(error, callback) {
      into.destroy();
      callback(error);
    },
  });
  input.on('error', () => {});
  into.once('error', (error) => input.destroy(error)).once('close', () => input.destroy());
  return input;
}

/** Writes chunks that came together in one write of the process. */
export function writeTogether(into: Writable, chunks: readonly { chunk: Buffer }[], callback: Callback): void {
  const last = chunks.length - 1;
  into.cork();
  for (const [at, { chunk }] of chunks.entries()) into.write(chunk, at === last ? callback : undefined);
  into.uncork();
}
