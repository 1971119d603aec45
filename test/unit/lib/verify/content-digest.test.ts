import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ContentDigest } from '../../../../lib/verify/content-digest.ts';
import { begin, embedded, end, free, nvlist, object, objectRange, spill, write } from '../../../support/send-stream.ts';

const digestOf = (...pieces: Buffer[]) => {
  const digest = new ContentDigest();
  for (const piece of pieces) digest.push(piece);
  return digest.result();
};
const data = Buffer.from('the quick brown fox '.repeat(400)).subarray(0, 4096);
const hole = Buffer.alloc(4096);
const digest = (...records: Buffer[]): string => digestOf(Buffer.concat([begin(), ...records, end()])).digest;

describe('the digest of a stream', () => {
  const whole = Buffer.concat([
    begin({ payload: randomBytes(40) }),
    object(5),
    spill(5, data),
    write(5, 0, data),
    free(5, 4096, 8192),
    object(6, { bonus: Buffer.from('owner, mode and times') }),
    write(6, 0, Buffer.concat([hole, data, data])),
    embedded(6, 131072, Buffer.from('seven b')),
    write(7, 0, data.subarray(0, 1000)),
    end(),
  ]);

  it('is the same for any chunks of the stream', () => {
    const once = digestOf(whole);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: whole.length }), { maxLength: 40 }), (cuts) => {
        const places = [0, ...cuts.toSorted((a, b) => a - b), whole.length];
        const pieces = places.slice(1).map((place, at) => whole.subarray(places[at], place));
        expect(digestOf(...pieces)).toEqual(once);
      }),
    );
    expect(digestOf(...Array.from(whole, (_byte, at) => whole.subarray(at, at + 1)))).toEqual(once);
  });

  it('does not keep the lent buffer', () => {
    const raw = begin({ raw: true, payload: nvlist('to_ivset_guid', 77n) });
    for (const stream of [whole, Buffer.concat([raw, object(5), write(5, 0, data), end()])]) {
      const lent = Buffer.alloc(100);
      const digest = new ContentDigest();
      for (let at = 0; at < stream.length; at += lent.length) digest.push(lent.subarray(0, stream.copy(lent, 0, at)));
      expect(digest.result()).toEqual(digestOf(stream));
    }
    expect(digestOf(raw, end())).toMatchObject({ method: 'raw-1-little', ivSet: '77' });
  });

  it('has the guid of the snapshot, and the kind of digest', () => {
    expect(digestOf(begin({ guid: '12345678901234567890' }), end())).toMatchObject({
      guid: '12345678901234567890',
      method: 'plain-1-little',
    });
  });
});

describe('a different digest follows from', () => {
  const usual = digest(object(5), write(5, 0, data));
  const flipped = Buffer.from(data);
  flipped[1234] = (flipped[1234] ?? 0) ^ 1;

  it.each<[string, Buffer[]]>([
    ['one bit of the data', [object(5), write(5, 0, flipped)]],
    ['the place of the data', [object(5), write(5, 512, data)]],
    ['the object that has the data', [object(5), write(6, 0, data)]],
    ['the bonus', [object(5, { bonus: Buffer.from('b bonus') }), write(5, 0, data)]],
    ['the block size', [object(5, { blockSize: 4096 }), write(5, 0, data)]],
    ['an object more', [object(5), write(5, 0, data), object(6)]],
    ['a spill block', [object(5), spill(5, data), write(5, 0, data)]],
    ['an embedded block', [object(5), write(5, 0, data), embedded(5, 4096, data)]],
    ['data that is cut off', [object(5), write(5, 0, data.subarray(0, 3584))]],
    ['data that is compressed', [object(5), write(5, 0, data, { length: 8192 })]],
  ])('%s', (_what, records) => {
    expect(digest(...records)).not.toBe(usual);
  });

  it('the position of zeros between the data', () => {
    const of = (...parts: Buffer[]) => digest(object(5), write(5, 0, Buffer.concat(parts)));
    expect(of(data, hole, data)).not.toBe(of(data, data, hole));
  });

  it('the offset of data beyond the safe integers', () => {
    const last = 2n ** 64n - 1024n;
    const of = (offset: bigint) => digest(object(5), write(5, offset, data.subarray(0, 512)));
    expect(of(last)).not.toBe(of(last + 512n));
    expect(of(2n ** 53n)).not.toBe(of(2n ** 53n + 1n));
  });

  it('the block boundaries within the bytes', () => {
    const bytes = randomBytes(1040);
    const [a, b] = [bytes.subarray(0, 512), bytes.subarray(512, 528)];
    const last = digest(object(5), write(5, 0, a), embedded(5, 8192, b), write(5, 512, bytes.subarray(528)));
    const first = digest(object(5), embedded(5, 8192, bytes.subarray(0, 16)), write(5, 0, bytes.subarray(16)));
    expect(last).not.toBe(first);
  });

  it('the bytes of a compressed block, of a spill block and of an embedded one', () => {
    const kinds = [
      (bytes: Buffer) => write(5, 0, bytes, { length: 8192 }),
      (bytes: Buffer) => spill(5, bytes),
      (bytes: Buffer) => embedded(5, 0, bytes),
    ];
    for (const kind of kinds) expect(digest(object(5), kind(data))).not.toBe(digest(object(5), kind(flipped)));
  });
});

describe('the same digest follows from', () => {
  const usual = digest(object(5), write(5, 0, Buffer.concat([data, hole, data])));

  it.each<[string, Buffer[]]>([
    ['a hole in place of zeros', [object(5), write(5, 0, data), free(5, 4096, 4096), write(5, 8192, data)]],
    [
      'the records into which the data is cut',
      [object(5), write(5, 0, data.subarray(0, 512)), write(5, 512, Buffer.concat([data.subarray(512), hole, data]))],
    ],
    ['zeros at the end', [object(5), write(5, 0, Buffer.concat([data, hole, data, hole]))]],
    [
      'freed ranges, and the numbers of objects',
      [free(4, 0, 99), objectRange(0), object(5), write(5, 0, data), write(5, 8192, data)],
    ],
  ])('%s', (_what, records) => {
    expect(digest(...records)).toBe(usual);
  });

  it('another name and guid, which are separate fields', () => {
    const of = (guid: string) => digestOf(begin({ guid }), object(5), write(5, 0, data), end()).digest;
    expect(of('1')).toBe(of('2'));
  });

  it('a spill block before or after the data', () => {
    expect(digest(object(5), spill(5, data), write(5, 0, data))).toBe(
      digest(object(5), write(5, 0, data), spill(5, data)),
    );
  });

  it('another padding of a bonus', () => {
    const record = object(5, { bonus: Buffer.from('abc') });
    const other = Buffer.from(record);
    other[other.length - 1] = 1;
    expect(digest(record)).toBe(digest(other));
  });
});

describe('a raw stream', () => {
  it('is digested as it is, zeros too, with its own kind of digest', () => {
    const raw = (...records: Buffer[]) => digestOf(begin({ raw: true }), ...records, end());
    expect(raw(object(5), write(5, 0, data)).method).toBe('raw-1-little');
    expect(raw(object(5), write(5, 0, hole)).digest).not.toBe(raw(object(5)).digest);
  });
});

describe('a stream is refused', () => {
  it.each<[string, Buffer[], RegExp]>([
    ['that is cut off', [begin(), object(5), write(5, 0, data)], /ends before its end record/],
    ['that is empty', [], /ends before its end record/],
    ['that is cut off within a record', [begin(), write(5, 0, data).subarray(0, 1000)], /ends before its end record/],
    ['that is not a ZFS stream', [Buffer.alloc(400, 1)], /not a ZFS stream/],
    ['with something after its end', [begin(), end(), end()], /more follows/],
    ['that begins twice', [begin(), begin(), end()], /type 0/],
    [
      'with records that only a deduplicated one has',
      [begin(), Buffer.concat([Buffer.of(6), Buffer.alloc(311)])],
      /type 6/,
    ],
    ['that is an increment', [begin({ from: '3' }), end()], /increment/],
  ])('%s', (_what, pieces, why) => {
    expect(() => digestOf(...pieces)).toThrow(why);
  });
});
