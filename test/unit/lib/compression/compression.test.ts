import { randomBytes } from 'node:crypto';
import { PassThrough, Readable, Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { setImmediate as turn } from 'node:timers/promises';
import { constants, createZstdCompress, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { answerTo, offerOf } from '../../../../lib/compression/choice.ts';
import { decoderInto } from '../../../../lib/compression/decode.ts';
import { encode } from '../../../../lib/compression/encode.ts';

const MIB = 1024 * 1024;
const isZstd = (bytes: Buffer): boolean => bytes.readUInt32LE(0) === 0xfd2fb528;

/** What `zfs receive` would get of these pieces, and whether they were called damaged. */
async function decoded(pieces: readonly Buffer[]): Promise<{ bytes: Buffer; damage: string[] }> {
  const damage: string[] = [];
  const into = new PassThrough();
  const taken: Buffer[] = [];
  into.on('data', (chunk: Buffer) => taken.push(chunk));
  const closed = new Promise((resolve) => into.once('close', resolve));
  await pipeline(
    Readable.from(pieces),
    decoderInto(into, (reason) => damage.push(reason)),
  ).catch(() => {});
  await closed;
  return { bytes: Buffer.concat(taken), damage };
}

/** The bytes in pieces of so many. */
function cut(bytes: Buffer, size: number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  return pieces;
}

const wireBytes = (pieces: readonly Buffer[], mode: 'auto' | 'zstd'): Promise<Buffer> =>
  buffer(encode(Readable.from(pieces), mode).stream);

describe('what is offered and answered', () => {
  test.each([
    ['none', [], undefined],
    ['zstd', [], ['zstd']],
    ['zstd', ['compressed'], ['zstd']],
    ['auto', [], ['zstd']],
    ['auto', ['large-block', 'embed', 'props'], ['zstd']],
    ['auto', ['compressed'], undefined],
    ['auto', ['raw'], undefined],
  ] as const)('%s with flags %j offers %j', (mode, flags, offer) => {
    expect(offerOf(mode, flags)).toEqual(offer);
  });

  test('a receiver takes zstd, and of offers it does not know nothing', () => {
    expect(answerTo(['zstd'])).toBe('zstd');
    expect(answerTo(['later', 'zstd'])).toBe('zstd');
    expect(answerTo(['later'])).toBeUndefined();
    expect(answerTo(undefined)).toBeUndefined();
  });
});

describe('a stream over the wire', () => {
  test('is unchanged after a round trip, in pieces of any size', async () => {
    const block = fc
      .tuple(fc.integer({ min: 1, max: 200_000 }), fc.boolean())
      .map(([length, isNoise]) => (isNoise ? randomBytes(length) : Buffer.alloc(length, 'zfs')));
    await fc.assert(
      fc.asyncProperty(
        fc.array(block, { maxLength: 8 }),
        fc.constantFrom('auto' as const, 'zstd' as const),
        fc.integer({ min: 1000, max: 40_000 }),
        async (blocks, mode, size) => {
          const { bytes, damage } = await decoded(cut(await wireBytes(blocks, mode), size));
          expect(damage).toEqual([]);
          expect(bytes.equals(Buffer.concat(blocks))).toBe(true);
        },
      ),
      { numRuns: 20 },
    );
  });

  test.each([1, 2, 3, 20])('is one frame, of %i pieces that all come at once', async (count) => {
    const pieces = Array.from({ length: count }, () => Buffer.from('short'));
    const wire = await wireBytes(pieces, 'zstd');
    expect(wire.indexOf(wire.subarray(0, 4), 1)).toBe(-1);
    expect(await decoded([wire])).toEqual({ bytes: Buffer.concat(pieces), damage: [] });
  });

  test('is smaller where it compresses, and counted before that', async () => {
    const encoded = encode(Readable.from([Buffer.alloc(8 * MIB)]), 'zstd');
    const wire = await buffer(encoded.stream);
    expect(isZstd(wire)).toBe(true);
    expect(wire.length).toBeLessThan(MIB / 8);
    expect(encoded.taken).toBe(8 * MIB);
  });

  test('auto leaves alone what does not compress, and compresses what does', async () => {
    const noise = randomBytes(3 * MIB);
    expect((await wireBytes(cut(noise, 64_000), 'auto')).equals(noise)).toBe(true);
    const text = await wireBytes(cut(Buffer.alloc(3 * MIB, 'text'), 64_000), 'auto');
    expect(isZstd(text)).toBe(true);
  });

  test.each(['zstd', 'auto'] as const)('%s: its first bytes go while the source is still silent', async (mode) => {
    const source = new PassThrough();
    const { stream } = encode(source, mode);
    source.write(Buffer.alloc(312));
    const [first] = await stream.take(1).toArray();
    expect(isZstd(first)).toBe(true);
  });

  test.each(['zstd', 'auto'] as const)('I7: %s: a source that breaks off never looks like an end', async (mode) => {
    for (const bytes of [100, 4 * MIB]) {
      const source = new PassThrough();
      const { stream } = encode(source, mode);
      const read = buffer(stream);
      source.write(Buffer.alloc(bytes));
      await turn();
      source.destroy();
      await expect(read).rejects.toThrow();
    }
  });

  test('I8: without a reader, nothing more is read from the source', async () => {
    let given = 0;
    const source = new Readable({
      read() {
        given += 64_000;
        this.push(randomBytes(64_000));
      },
    });
    const { stream } = encode(source, 'zstd');
    stream.read(0);
    for (let before = -1; before !== given; ) {
      before = given;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(given).toBeLessThan(4 * MIB);
    stream.destroy();
    source.destroy();
  });
});

describe('what arrives', () => {
  const stream = Buffer.concat([Buffer.alloc(312), randomBytes(MIB)]);
  const compressed = zstdCompressSync(stream);

  test.each([1, 2, 3, 5000])('as it is, when it does not begin as zstd does, in pieces of %i', async (size) => {
    const some = stream.subarray(0, size * 1000);
    expect(await decoded(cut(some, size))).toEqual({ bytes: some, damage: [] });
  });

  test('shorter than a beginning is handed on', async () => {
    expect(await decoded([Buffer.from('ab')])).toEqual({ bytes: Buffer.from('ab'), damage: [] });
    expect(await decoded([])).toEqual({ bytes: Buffer.alloc(0), damage: [] });
  });

  test('cut off, or with more behind its end, is damaged', async () => {
    const short = await decoded([compressed.subarray(0, -3)]);
    expect(short.damage).toHaveLength(1);
    expect(stream.subarray(0, short.bytes.length).equals(short.bytes)).toBe(true);
    expect((await decoded([compressed, Buffer.from('and more')])).damage).toHaveLength(1);
    expect((await decoded([Buffer.concat([compressed, Buffer.from('and more')])])).damage).toHaveLength(1);
    expect((await decoded([compressed.subarray(0, 4), randomBytes(1000)])).damage).toHaveLength(1);
  });

  test('I8: a stream that wants a window larger than 2 MiB is refused', async () => {
    const wanting = async (windowLog: number) => {
      const zstd = createZstdCompress({ params: { [constants.ZSTD_c_windowLog]: windowLog } });
      return decoded([await buffer(Readable.from([stream]).compose(zstd))]);
    };
    expect(await wanting(21)).toEqual({ bytes: stream, damage: [] });
    expect((await wanting(22)).damage).toEqual([expect.stringContaining('too much memory')]);
  });

  test('I8: a few bytes that decompress to gigabytes wait for their reader', async () => {
    const bomb = zstdCompressSync(Buffer.alloc(256 * MIB));
    expect(bomb.length).toBeLessThan(MIB / 4);
    let taken = 0;
    let arrival = Promise.withResolvers<() => void>();
    const into = new Writable({
      write(chunk: Buffer, _encoding, callback) {
        taken += chunk.length;
        arrival.resolve(callback);
      },
    });
    const decoder = decoderInto(into, () => {});
    let accepted = false;
    decoder.write(bomb, () => {
      accepted = true;
    });
    for (let at = 0; at < 8; at += 1) {
      const more = await arrival.promise;
      arrival = Promise.withResolvers();
      more();
    }
    await expect.poll(() => into.writableNeedDrain).toBe(true);
    expect(accepted).toBe(false);
    expect(taken + into.writableLength).toBeLessThan(4 * MIB);
    into.destroy();
  });

  test('behind what `zfs receive` needed is no damage: it ends at the last record, before its input does', async () => {
    const damage: string[] = [];
    const into = new PassThrough().resume();
    const decoder = decoderInto(into, (reason) => damage.push(reason));
    decoder.on('error', () => {});
    decoder.write(compressed.subarray(0, -3));
    await turn();
    into.destroy();
    await new Promise((resolve) => into.once('close', resolve));
    decoder.end();
    await turn();
    expect(damage).toEqual([]);
  });
});
