import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { constants, type ZstdCompress } from 'node:zlib';
import type { CompressionMode } from '../../schemas/transfer.ts';
import { timing } from '../time/timing.ts';
import { pays } from './choice.ts';
import { compressor } from './zstd.ts';

/** A stream on its way to a receiver that takes zstd. */
export interface Encoded {
  /** What goes over the wire. It ends only when the source has ended and all of it was compressed (I7), and fails as it fails. */
  readonly stream: Readable;
  /** Bytes of the source that were taken so far. */
  readonly taken: number;
}

/** What `auto` judges a stream by, in bytes, and how long it waits for them: what comes slower than that no CPU slows down. */
const probeBytes = 1024 * 1024;

/**
 * Compresses a stream with zstd; `auto` only where its beginning shows that it pays. The receiver tells from the first bytes.
 * Memory is bounded by the compressor's own buffers; whoever reads slowly slows the source down.
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
 * Each chunk is waited for: Node 24 ends the frame twice, the second time with an empty one, where the end comes while a chunk is
 * under way. What fails here fails the compressor, and so whoever reads it.
 */
async function feed(zstd: ZstdCompress, chunks: AsyncIterable<Buffer>): Promise<void> {
  try {
    let begun = false;
    for await (const chunk of chunks) {
      await new Promise<void>((resolve, reject) => zstd.write(chunk, (error) => (error ? reject(error) : resolve())));
      // the first bytes go at once: the next may be minutes away, and a receiver gives up one that does not begin
      if (!begun) await new Promise<void>((resolve) => zstd.flush(constants.ZSTD_e_flush, resolve));
      begun = true;
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
  // the time runs from the first bytes: what a source takes to begin says nothing of its rate
  await next;
  const late = sleep(timing.zfs.sampleMs, undefined, { ref: false });
  while (length < probeBytes) {
    const came = await Promise.race([next, late]);
    if (!came || came.done) break;
    beginning.push(came.value);
    length += came.value.length;
    next = chunks.next();
    // it may break off before it is asked about again
    next.catch(() => {});
  }
  async function* all(): AsyncGenerator<Buffer> {
    yield* beginning;
    for (let came = await next; !came.done; came = await chunks.next()) yield came.value;
  }
  yield* (await pays(Buffer.concat(beginning))) ? compressed(all()) : all();
}
