import { pipeline, Writable } from 'node:stream';
import { decompressor, magic } from './zstd.ts';

type Settle = (error?: Error | null) => void;

/**
 * What stands before `zfs receive` where zstd was agreed: takes what came over the wire, and writes the stream into `into`.
 * A stream that does not begin as zstd does goes on as it is; its sender saw that compressing does not pay. Takes no more
 * while `into` is full, however much a few bytes may come to. As with `into` itself, an error here is never unhandled, and no
 * proof of failure: `into` may have ended first.
 * @param damaged what came is not zstd to its end; `into` is closed, and what it has taken is the stream's true beginning
 */
export function decoderInto(into: Writable, damaged: (reason: string) => void): Writable {
  let beginning: Buffer = Buffer.alloc(0);
  let way: Writable | undefined;
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
      // what it fails on it does not answer
      settle(error);
    };
    zstd.once('error', broken);
    // it takes what stands behind the end in the same piece for an end
    zstd.once('end', () => {
      if (!zstd.writableEnded) broken(new Error('there is more behind its end'));
    });
    pipeline(zstd, into, () => {});
    return zstd;
  }

  const decoder = new Writable({
    write(chunk: Buffer, _encoding, callback) {
      const bytes = way ? chunk : Buffer.concat([beginning, chunk]);
      if (!way && bytes.length < magic.length) {
        beginning = bytes;
        callback();
        return;
      }
      way ??= bytes.subarray(0, magic.length).equals(magic) ? decompressing() : into;
      waiting = callback;
      way.write(bytes, settle);
    },
    final(callback) {
      waiting = callback;
      if (way) way.end(settle);
      else into.end(beginning, settle);
    },
  });
  return decoder.on('error', () => {});
}
