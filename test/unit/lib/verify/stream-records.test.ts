import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ContentDigest } from '../../../../lib/verify/content-digest.ts';
import { RecordSplitter, type StreamRecord } from '../../../../lib/verify/stream-records.ts';

/**
 * Full streams that OpenZFS 2.3.2 printed, with most objects and large blocks left out: a source and its replicas, which were
 * received in three steps. The trees have small files, holes, zeros, a long symbolic link and large attributes (xattr=sa).
 */
const stream = (name: string): Buffer =>
  gunzipSync(readFileSync(new URL(`../../../fixtures/streams/2.3.2/${name}.zs.gz`, import.meta.url)));

function digestOf(...pieces: Buffer[]) {
  const digest = new ContentDigest();
  for (const piece of pieces) digest.push(piece);
  return digest.result();
}

/** Every payload of a stream: its record, and where it begins. */
function payloads(whole: Buffer): { type: StreamRecord['type']; at: number }[] {
  const found: { type: StreamRecord['type']; at: number }[] = [];
  let type: StreamRecord['type'] = 'end';
  const splitter = new RecordSplitter({
    record: (record) => {
      type = record.type;
    },
    payload: (piece) => found.push({ type, at: piece.byteOffset - whole.byteOffset }),
  });
  splitter.push(whole);
  return found;
}

test('a replica with other compression and record size has the digest of its source', () => {
  expect(digestOf(stream('replica'))).toEqual(digestOf(stream('source')));
});

test('zeros on one side are holes on the other', () => {
  const [zeros, holes] = [stream('zeros'), stream('holes')];
  expect(payloads(zeros).length).toBeGreaterThan(payloads(holes).length);
  expect(digestOf(holes)).toEqual(digestOf(zeros));
});

test('a replica that lost a long link and attributes on its way through send -e is different (openzfs#18239)', () => {
  const [ours, theirs] = [digestOf(stream('source')), digestOf(stream('replica-of-send-e'))];
  expect(theirs).toMatchObject({ method: ours.method, guid: ours.guid });
  expect(theirs.digest).not.toBe(ours.digest);
});

test('a raw replica has the raw digest and the IV set of its source; a newly encrypted one has neither', () => {
  const source = digestOf(stream('raw-source'));
  expect(source).toMatchObject({ method: 'raw-1-little', ivSet: '70738962257990152' });
  expect(digestOf(stream('raw-replica'))).toEqual(source);
  const anew = digestOf(stream('raw-anew'));
  expect(anew.guid).toBe(source.guid);
  expect(anew.digest).not.toBe(source.digest);
  expect(anew.ivSet).toBe('30458780551738390');
});

test.each(['source', 'raw-source'])(
  'of %s any flipped bit of a bonus, of data or of a spill block changes it',
  (name) => {
    const whole = stream(name);
    const { digest } = digestOf(whole);
    const places = payloads(whole).filter(({ type }) => type !== 'begin');
    expect(new Set(places.map(({ type }) => type))).toEqual(new Set(['object', 'write', 'spill']));
    for (const { at } of places) {
      const flipped = Buffer.from(whole);
      flipped[at] = (flipped[at] ?? 0) ^ 0x10;
      expect(digestOf(flipped).digest).not.toBe(digest);
    }
  },
);

test('it is the same for any chunks of the stream', () => {
  const whole = stream('source');
  const once = digestOf(whole);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: whole.length }), { maxLength: 60 }), (cuts) => {
      const places = [0, ...cuts.toSorted((a, b) => a - b), whole.length];
      expect(digestOf(...places.slice(1).map((place, at) => whole.subarray(places[at], place)))).toEqual(once);
    }),
  );
});
