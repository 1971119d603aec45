import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { constants, type ZstdCompress } from 'node:zlib';
import type { CompressionMode } from '../../schemas/transfer.ts';
import { timing } from '../time/timing.ts';
import { pays } from './choice.ts';
import { compressor } from './zstd.ts';

/** A stream for a receiver that accepts zstd. */
export interface Encoded {
  /** The encoded data. It ends only after the source has ended and all of it is compressed (I7), and fails if the source fails. */
  readonly stream: Readable;
  /** Bytes that were read from the source so far. */
  readonly taken: number;
}

/** The sample of a stream by which `auto` decides, in bytes. */
const sampleBytes = 1024 * 1024;

/**
 * Compresses a stream with zstd; with `auto` only if its beginning compresses well. The receiver recognizes zstd by the first bytes.
 * The compressor's buffers bound the memory; a slow reader slows the source down.
 */
export function encode(source: AsyncIterable<Buffer>, mode: Exclude<CompressionMode, 'none'>): Encoded {
  let taken = 0;
  async function* counted(): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      taken += chunk.length;
      yield chunk;
    }
  }
  const chunks = mode === 'zstd' ? compressed(counted()) : judged(counted());
  return {
    stream: Readable.from(chunks, { objectMode: false }),
    get taken() {
      return taken;
    },
  };
}

async function* compressed(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const zstd = compressor();
  void feed(zstd, chunks);
  yield* zstd;
}

/**
 * Awaits each chunk: if `end` comes during a write, Node 24 adds a second, empty frame. An error of the source fails the compressor,
 * and so its reader.
 */
async function feed(zstd: ZstdCompress, chunks: AsyncIterable<Buffer>): Promise<void> {
  try {
    let isFlushed = false;
    for await (const chunk of chunks) {
      await new Promise<void>((resolve, reject) => zstd.write(chunk, (error) => (error ? reject(error) : resolve())));
      // flush the first bytes: the next may come minutes later, and a receiver gives up a stream that does not start
      if (!isFlushed) await new Promise<void>((resolve) => zstd.flush(constants.ZSTD_e_flush, resolve));
      isFlushed = true;
    }
    zstd.end();
  } catch (error) {
    zstd.destroy(error instanceof Error ? error : new Error(String(error)));
  }
}

async function* judged(chunks: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  const beginning: Buffer[] = [];
  let length = 0;
  let next = chunks.next();
  // measured from the first bytes: the time until then does not depend on the rate of the source
  await next;
  const late = sleep(timing.zfs.sampleMs, undefined, { ref: false });
  while (length < sampleBytes) {
    const came = await Promise.race([next, late]);
    if (!came || came.done) break;
    beginning.push(came.value);
    length += came.value.length;
    next = chunks.next();
    // it may fail before it is awaited again
    next.catch(() => {});
  }
  async function* all(): AsyncGenerator<Buffer> {
    yield* beginning;
    for (let came = await next; !came.done; came = await chunks.next()) yield came.value;
  }
  yield* (await pays(Buffer.concat(beginning))) ? compressed(all()) : all();
}
