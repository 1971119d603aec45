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

test('a listing that was cut comes back whole and in order, whatever the size of the parts', () => {
  fc.assert(
    fc.property(listings, fc.integer({ min: 1, max: 20 }), (datasets, limit) => {
      const parts = [...toParts(datasets, limit)];
      expect(joinParts(parts.flat())).toEqual(datasets);
      expect(parts.length, 'also an empty listing is told').toBeGreaterThan(0);
    }),
  );
});

test('no part has more entries than the limit, but for the name of the dataset that goes on', () => {
  fc.assert(
    fc.property(listings, fc.integer({ min: 2, max: 20 }), (datasets, limit) => {
      for (const part of toParts(datasets, limit)) expect(entries(part)).toBeLessThanOrEqual(limit + 1);
    }),
  );
});

test('cutting and joining leave their input as it was', () => {
  const datasets = [dataset(1, 30, 10), dataset(2, 3, 0)];
  const before = structuredClone(datasets);
  const parts = [...toParts(datasets, 7)];
  const pieces = structuredClone(parts);
  joinParts(parts.flat());
  expect(datasets).toEqual(before);
  expect(parts).toEqual(pieces);
});

test('a dataset that was destroyed and made again between two parts is not joined with the old one', () => {
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
])('a part of %s fits into one message, whatever the server takes', (_what, datasets) => {
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

test('each part says which it is and whether another follows, so half a listing is known for one', () => {
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
