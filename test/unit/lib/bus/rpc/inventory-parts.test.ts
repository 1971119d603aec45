import fc from 'fast-check';
import { expect, test } from 'vitest';
import { entriesPerPart, joinParts, toParts } from '../../../../../lib/bus/rpc/inventory-parts.ts';
import { isComplete, numbered } from '../../../../../lib/bus/rpc/parts.ts';
import { type DatasetEntry, listingPartSchema } from '../../../../../schemas/inventory.ts';

const dataset = (n: number, snapshots: number, bookmarks: number): DatasetEntry => ({
  name: `tank/d${n}`,
  type: 'filesystem',
  guid: String(n),
  createtxg: '1',
  used: 0,
  referenced: 0,
  written: 0,
  encryption: 'off',
  snapshots: Array.from({ length: snapshots }, (_, i) => ({
    name: `s${i}`,
    guid: `${n}${i}`,
    createtxg: String(i),
    used: 0,
    referenced: 0,
    written: 0,
    userrefs: 0,
  })),
  bookmarks: Array.from({ length: bookmarks }, (_, i) => ({ name: `b${i}`, guid: `${n}${i}`, createtxg: String(i) })),
});

const listings = fc
  .array(fc.tuple(fc.nat(30), fc.nat(12)), { maxLength: 12 })
  .map((sizes) => sizes.map(([snapshots, bookmarks], n) => dataset(n, snapshots, bookmarks)));

const entries = (part: readonly DatasetEntry[]) =>
  part.reduce((sum, { snapshots, bookmarks }) => sum + 1 + snapshots.length + bookmarks.length, 0);

test('joining the parts of a listing restores it, for any size of the parts', () => {
  fc.assert(
    fc.property(listings, fc.integer({ min: 1, max: 20 }), (datasets, limit) => {
      const parts = [...toParts(datasets, limit)];
      expect(joinParts(parts.flat())).toEqual(datasets);
      expect(parts.length, 'an empty listing has a part too').toBeGreaterThan(0);
    }),
  );
});

test('no part has more entries than the limit, besides the dataset that continues', () => {
  fc.assert(
    fc.property(listings, fc.integer({ min: 2, max: 20 }), (datasets, limit) => {
      for (const part of toParts(datasets, limit)) expect(entries(part)).toBeLessThanOrEqual(limit + 1);
    }),
  );
});

test('cutting and joining do not change their input', () => {
  const datasets = [dataset(1, 30, 10), dataset(2, 3, 0)];
  const before = structuredClone(datasets);
  const parts = [...toParts(datasets, 7)];
  const pieces = structuredClone(parts);
  joinParts(parts.flat());
  expect(datasets).toEqual(before);
  expect(parts).toEqual(pieces);
});

test('a dataset that was destroyed and created again between two parts is not joined with the old one', () => {
  const old = dataset(1, 2, 0);
  expect(joinParts([old, { ...old, guid: '99' }])).toHaveLength(2);
});

const most = entriesPerPart(1024 * 1024);
const longName = (n: number) => `zones/${String(n).padStart(249, '0')}`;
const big = Number.MAX_SAFE_INTEGER;
const guid = '1'.repeat(20);

test.each<[string, DatasetEntry[]]>([
  [
    'snapshots with the longest names',
    [
      {
        ...dataset(1, 0, 0),
        snapshots: Array.from({ length: 2 * most }, (_, n) => ({
          name: String(n).padStart(250, '0'),
          guid,
          createtxg: guid,
          used: big,
          referenced: big,
          written: big,
          userrefs: big,
        })),
      },
    ],
  ],
  [
    'clones with the longest names and resume tokens',
    Array.from({ length: most }, (_, n) => ({
      ...dataset(n, 1, 0),
      name: longName(n),
      origin: { name: `${longName(n).slice(0, -2)}@o`, guid },
      resumeToken: `1-${'a'.repeat(800)}`,
    })),
  ],
])('a part of %s fits in one message, for any max_payload', (_what, datasets) => {
  for (const maxPayload of [1024 * 1024, 64 * 1024]) {
    const parts = [...toParts(datasets, entriesPerPart(maxPayload))];
    expect(parts.length).toBeGreaterThan(1);
    for (const part of parts) {
      const body = JSON.stringify(
        listingPartSchema.parse({ host: 'h'.repeat(64), datasets: part, part: 1, more: true }),
      );
      expect(Buffer.byteLength(body)).toBeLessThan(maxPayload);
    }
    expect(joinParts(parts.flat())).toEqual(datasets);
  }
});

test('the numbers of the parts show whether a listing is complete', () => {
  const parts = numbered([{ of: 'a' }, { of: 'b' }, { of: 'c' }]);
  expect(parts).toEqual([
    { of: 'a', part: 1, more: true },
    { of: 'b', part: 2, more: true },
    { of: 'c', part: 3, more: false },
  ]);
  expect([isComplete(parts), isComplete(numbered([{}]))]).toEqual([true, true]);
  const [a, b, c] = parts;
  for (const some of [[], [a, b], [b, c], [a, c], [a, c, b], [a, b, b, c], [a, b, c, c]]) {
    expect(isComplete(some.filter((one) => one !== undefined))).toBe(false);
  }
});
