import { pipeline, Writable } from 'node:stream';
import { decompressor, magic } from './zstd.ts';

type Settle = (error?: Error | null) => void;

/**
 * Decompresses received zstd data into `into` (a `zfs receive`). Passes data without the zstd magic number unchanged: its sender found
 * that compression does not pay. Accepts no more data while `into` is full. As with `into` itself, an error here is never unhandled and
 * does not prove a failure: `into` may have ended first.
 * @param damaged called if the data is not valid zstd up to its end; `into` is closed, and its input is a true prefix of the stream
 */
export function decoderInto(into: Writable, damaged: (reason: string) => void): Writable {
  let beginning: Buffer = Buffer.alloc(0);
  let output: Writable | undefined;
  let waiting: Settle | undefined;

  function settle(error?: Error | null): void {
    const settled = waiting;
    waiting = undefined;
    settled?.(error);
  }

  function decompressing(): Writable {
    const zstd = decompressor();
    let gone = false;
    const over = (): void => {
      gone = true;
    };
    into.once('error', over).once('close', over);
    const broken = (error: Error): void => {
      if (!gone) damaged(error.message);
      // zstd does not call back for the chunk on which it fails
      settle(error);
    };
    zstd.once('error', broken);
    // zstd ignores trailing data in the last chunk
    zstd.once('end', () => {
      if (!zstd.writableEnded) broken(new Error('it has trailing data'));
    });
    pipeline(zstd, into, () => {});
    return zstd;
  }

  const decoder = new Writable({
    write(chunk: Buffer, _encoding, callback) {
      const bytes = output ? chunk : Buffer.concat([beginning, chunk]);
      if (!output && bytes.length < magic.length) {
        beginning = bytes;
        callback();
        return;
      }
      output ??= bytes.subarray(0, magic.length).equals(magic) ? decompressing() : into;
      waiting = callback;
      output.write(bytes, settle);
    },
    final(callback) {
      waiting = callback;
      if (output) output.end(settle);
      else into.end(beginning, settle);
    },
  });
  return decoder.on('error', () => {});
}
