import { Readable, Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { sourceOf } from '../../../../lib/bus/channel/byte-source.ts';
import { headOf, noStream, openHeadCheck, tooLarge } from '../../../../lib/zfs/stream-head.ts';
import { checkedInput, endedEarly } from '../../../../services/receiver/receive/checked-input.ts';
import { checkedChunks, checkedSource } from '../../../../services/sender/transfer/checked-source.ts';
import { mentions } from '../../../support/mentions.ts';
import { streamBegin as begin } from '../../../support/stream-begin.ts';

const end = (): Buffer => {
  const bytes = Buffer.alloc(312);
  bytes.writeUInt32LE(5, 0);
  return bytes;
};
/** With properties: a compound stream. */
const wrapped = (inner: Buffer): Buffer => Buffer.concat([begin({ kind: 2n, payload: 5000 }), end(), inner]);
const body = Buffer.alloc(100_000, 'x');
const expected = { toguid: '7', raw: false, flags: [] };

test.each<[string, Buffer]>([
  ['little-endian', begin({ toguid: 2n ** 64n - 1n, fromguid: 5n, bits: [24] })],
  ['big-endian', begin({ toguid: 2n ** 64n - 1n, fromguid: 5n, bits: [24], big: true })],
  ['inside a stream of properties', wrapped(begin({ toguid: 2n ** 64n - 1n, fromguid: 5n, bits: [24] }))],
])('the first record describes a %s stream, and a part of it reports the bytes that it still needs', (_, bytes) => {
  expect(headOf(bytes)).toMatchObject({ toguid: '18446744073709551615', fromguid: '5', raw: true, redacted: false });
  for (const length of [0, 1, 311, bytes.length - 1]) {
    const { needs } = headOf(bytes.subarray(0, length)) as { needs: number };
    expect(needs > length && needs <= bytes.length, `${length}`).toBe(true);
  }
});

test.each<[string, Buffer]>([
  ['zeros', Buffer.alloc(400)],
  ['text', Buffer.alloc(400, 'not a stream ')],
  ['an end', Buffer.concat([end(), end()])],
  ['an unknown kind', begin({ kind: 3n })],
  ['properties without an end', Buffer.concat([begin({ kind: 2n, payload: 8 }), Buffer.alloc(312)])],
  ['streams in a stream in a stream', wrapped(begin({ kind: 2n }))],
])('%s are no stream', (_, bytes) => {
  expect(() => headOf(bytes)).toThrow();
});

test('properties are bounded', () => {
  const bytes = begin({ kind: 2n });
  bytes.writeUInt32LE(2 ** 31, 4);
  expect(() => headOf(bytes)).toThrow(tooLarge);
  bytes.writeUInt32LE(20 * 1024 * 1024, 4);
  expect(headOf(bytes)).toEqual({ needs: 20 * 1024 * 1024 + 3 * 312 });
});

const others: [string, Buffer, (string | number)[]][] = [
  ['another snapshot', begin({ toguid: 8n }), ['guid 8', 7]],
  ['another base', begin({ fromguid: 3n }), ['guid 3', 0]],
  ['a raw stream', begin({ bits: [24] }), ['raw']],
  ['a redacted one', begin({ bits: [21] }), ['redacted']],
  ['large blocks unasked', begin({ bits: [19] }), ['large-block']],
  ['compressed blocks unasked', begin({ bits: [22] }), ['compressed']],
  ['embedded blocks unasked', begin({ bits: [16] }), ['embed']],
  ['another snapshot with properties', wrapped(begin({ toguid: 8n })), ['guid 8', 7]],
  ['no stream', Buffer.alloc(400), [noStream]],
];

describe('the output of zfs send', () => {
  /** Through a source that is read into buffers of `room` bytes, in pieces of `size`. */
  async function read(bytes: Buffer, size: number, room: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
      bytes.subarray(at * size, (at + 1) * size),
    );
    const source = checkedSource(sourceOf(Readable.from(chunks)), openHeadCheck(expected));
    let memory = Buffer.alloc(room);
    let calls = 0;
    source.readInto({
      room: () => {
        memory = Buffer.alloc(room);
        return memory;
      },
      filled(length) {
        pieces.push(memory.subarray(0, length));
        calls += 1;
        if (calls % 2 === 0) return true;
        setImmediate(() => source.proceed());
        return false;
      },
      ended: resolve,
      failed: (why) => reject(new Error(why)),
    });
    await promise;
    return Buffer.concat(pieces);
  }

  test.each([
    [100_312, 262_144],
    [7, 262_144],
    [313, 64],
    [50_000, 1000],
  ])('goes on whole and in order, in pieces of %i bytes, with room for %i', async (size, room) => {
    for (const head of [begin(), wrapped(begin())]) {
      const all = Buffer.concat([head, body]);
      expect((await read(all, size, room)).equals(all)).toBe(true);
      const chunks = Readable.from([all.subarray(0, size), all.subarray(size)].filter(({ length }) => length > 0));
      expect((await buffer(checkedChunks(chunks, openHeadCheck(expected)))).equals(all)).toBe(true);
    }
  });

  test.each(others)('is not forwarded if it is %s', async (_, head, facts) => {
    const wanted = expect.objectContaining({ message: mentions(...facts) });
    const all = Buffer.concat([head, body]);
    for (const size of [50, 400, 100_000]) await expect(read(all, size, 65_536)).rejects.toThrow(wanted);
    await expect(buffer(checkedChunks(Readable.from([all]), openHeadCheck(expected)))).rejects.toThrow(wanted);
  });

  test('is empty if it ends before its first record', async () => {
    const short = begin().subarray(0, 100);
    expect(await read(short, 100, 1000)).toHaveLength(0);
    expect(await buffer(checkedChunks(Readable.from([short]), openHeadCheck(expected)))).toHaveLength(0);
  });
});

describe('the input of zfs receive', () => {
  async function written(pieces: readonly Buffer[], how: 'separately' | 'together') {
    const got: Buffer[] = [];
    const refused: string[] = [];
    const into = new Writable({
      write(chunk: Buffer, _encoding, callback) {
        got.push(chunk);
        callback();
      },
    });
    const start = { sourceHost: 'src', to: { name: 'tank/a@1', guid: '7' } };
    const input = checkedInput(into, start, 'dst', ({ message }) => refused.push(message));
    const settled = pieces.map((piece) => {
      if (how === 'together' && !input.writableCorked) input.cork();
      return new Promise<boolean>((resolve) => input.write(piece, (error) => resolve(!error)));
    });
    if (how === 'together') input.uncork();
    const taken = await Promise.all(settled);
    if (!input.destroyed) await new Promise<void>((resolve) => input.end(() => resolve()));
    return { got: Buffer.concat(got), refused, taken, isClosed: into.writableEnded || into.destroyed };
  }

  test.each(['separately', 'together'] as const)('is the whole stream, written %s', async (how) => {
    for (const head of [begin(), wrapped(begin())]) {
      const all = Buffer.concat([head, body]);
      for (const size of [100, 1000, 200_000]) {
        const pieces = Array.from({ length: Math.ceil(all.length / size) }, (_, at) =>
          all.subarray(at * size, (at + 1) * size),
        );
        const { got, refused, taken, isClosed } = await written(pieces, how);
        expect([got.equals(all), refused, taken.every((one) => one), isClosed]).toEqual([true, [], true, true]);
      }
    }
  });

  // only the sender knows which flags were requested
  test.each(others.filter(([name]) => !name.endsWith('unasked')))('is empty for %s', async (_, head, facts) => {
    for (const how of ['separately', 'together'] as const) {
      const { got, refused, taken, isClosed } = await written([head, body, body], how);
      expect([got.length, isClosed, taken.includes(true)]).toEqual([0, true, false]);
      expect(refused).toEqual([mentions(...facts)]);
    }
  });

  test('is empty for a stream that ends before its first record', async () => {
    const { got, refused } = await written([begin().subarray(0, 100)], 'separately');
    expect([got.length, refused]).toEqual([0, [expect.stringContaining(endedEarly)]]);
  });
});
