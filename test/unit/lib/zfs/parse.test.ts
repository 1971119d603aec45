import { describe, expect, it } from 'vitest';
import { type Column, creationColumn, optionalColumns, requiredColumns } from '../../../../lib/zfs/argv.ts';
import {
  joinOrigins,
  type OwnValues,
  parseEstimate,
  parseHolds,
  parseInspected,
  parseListing,
  parsePoolFacts,
  parsePools,
} from '../../../../lib/zfs/parse.ts';
import { type ExpectedNames, parseProperties } from '../../../../lib/zfs/rows.ts';
import { datasetEntrySchema } from '../../../../schemas/inventory.ts';
import { mentions } from '../../../support/mentions.ts';

const columns: Column[] = [...requiredColumns, ...optionalColumns].slice(0, 15);
const read = (stdout: string, only?: string, some: readonly Column[] = columns, own?: OwnValues) =>
  parseListing({ stdout, columns: some, expected: undefined, only }, own);
const seenIn = (stdout: string) => parseInspected(stdout, columns, undefined);
const rows = (...lines: string[]) => lines.map((line) => `${line.replaceAll('  ', '\t')}\n`).join('');

/** As OpenZFS 2.3.2 prints it. */
const listing = rows(
  'tank/clone  filesystem  1062765304951020966  13  0  24576  0  -  tank/src@a  off  -  -  -  -  -',
  'tank/enc  volume  3557711252973350684  15  100352  100352  0  -  -  aes-256-gcm  unavailable  -  tank/enc  -  -',
  'tank/src  filesystem  14008954034161259489  6  10547200  24576  512  -  -  off  -  1-ab-c0-78  -  -  -',
  'tank/src@b  snapshot  14078234535408974160  11  0  24576  0  0  -  off  -  -  -  -  -',
  'tank/src@a  snapshot  18446744073709551615  9  1  24576  2  3  -  off  -  -  -  -  -',
  'tank/src#bm  bookmark  16945160800036215337  10  -  24576  -  -  -  -  -  -  -  -  -',
  'tank/src/my data:1  filesystem  3487602839025842857  7  24576  24576  0  -  -  off  -  -  -  -  -',
  'tank/src/my data:1@at 12:00  snapshot  9996377461311415555  11  0  24576  24576  0  -  off  -  -  -  -  -',
);

describe('a listing', () => {
  it('becomes datasets by name with snapshots and bookmarks by createtxg, 64-bit guids kept whole', () => {
    const datasets = read(listing);
    expect(datasets.map(({ name }) => name)).toEqual(['tank/clone', 'tank/enc', 'tank/src', 'tank/src/my data:1']);
    expect(datasets[2]).toEqual({
      name: 'tank/src',
      type: 'filesystem',
      guid: '14008954034161259489',
      createtxg: '6',
      used: 10547200,
      referenced: 24576,
      written: 512,
      encryption: 'off',
      resumeToken: '1-ab-c0-78',
      snapshots: [
        {
          name: 'a',
          guid: '18446744073709551615',
          createtxg: '9',
          used: 1,
          referenced: 24576,
          written: 2,
          userrefs: 3,
        },
        {
          name: 'b',
          guid: '14078234535408974160',
          createtxg: '11',
          used: 0,
          referenced: 24576,
          written: 0,
          userrefs: 0,
        },
      ],
      bookmarks: [{ name: 'bm', guid: '16945160800036215337', createtxg: '10' }],
    });
    expect(datasets[1]).toMatchObject({ type: 'volume', encryption: 'aes-256-gcm', keystatus: 'unavailable' });
    for (const dataset of datasets) expect(datasetEntrySchema.parse(dataset)).toEqual(dataset);
  });

  it('has the mark of the last rollback, if it is the dataset’s own', () => {
    const marked = (guid: string, value: string) =>
      read(
        rows(`a  filesystem  ${guid}  2`),
        undefined,
        [...requiredColumns],
        new Map([['a', { 'zpsend:rollback': value }]]),
      )[0]?.rolledBack;
    expect(marked('7', '7:abcdef1')).toBe('abcdef1');
    for (const value of ['-', '8:abcdef1', '77:abcdef1', 'abcdef1', '7:', '7:a b', '7']) {
      expect(marked('7', value), value).toBeUndefined();
    }
  });

  it('has the times of snapshots and bookmarks on request', () => {
    const dated = rows('a  filesystem  1  2  1700000000', 'a@x  snapshot  3  4  1700000060', 'a#b  bookmark  5  6  -');
    const [dataset] = read(dated, undefined, [...requiredColumns, creationColumn]);
    expect(dataset?.snapshots[0]?.creation).toBe(1_700_000_060);
    expect(dataset?.bookmarks[0]).not.toHaveProperty('creation');
    expect(datasetEntrySchema.parse(dataset)).toEqual(dataset);
  });

  it('keeps spaces and colons in names', () => {
    expect(read(listing).at(-1)?.snapshots[0]?.name).toBe('at 12:00');
  });

  it('keeps one dataset without its children on request', () => {
    expect(read(listing, 'tank/src').map(({ name }) => name)).toEqual(['tank/src']);
  });

  it('reads columns that this ZFS does not know as absent', () => {
    const few: Column[] = [...requiredColumns, 'referenced'];
    expect(read(rows('a  filesystem  1  2  7', 'a@x  snapshot  3  4  8'), undefined, few)).toEqual([
      expect.objectContaining({
        ...{ name: 'a', used: 0, referenced: 7, encryption: 'off' },
        snapshots: [{ name: 'x', guid: '3', createtxg: '4', used: 0, referenced: 8, written: 0, userrefs: 0 }],
      }),
    ]);
  });

  it('drops snapshots without their dataset, and empty lines', () => {
    const odd = rows('a  filesystem  1  2', '', 'b@x  snapshot  5  6');
    expect(read(odd, undefined, [...requiredColumns])).toMatchObject([{ name: 'a', snapshots: [] }]);
  });

  it('is complete without a newline at the end, and empty without rows', () => {
    expect(read('a\tfilesystem\t1\t2', undefined, [...requiredColumns])).toHaveLength(1);
    expect(read('')).toEqual([]);
  });

  it('sorts by number where txgs differ in length', () => {
    const text = rows('a  filesystem  1  2', 'a@y  snapshot  3  1000', 'a@x  snapshot  4  999');
    const entries = read(text, undefined, [...requiredColumns]);
    expect(entries[0]?.snapshots.map(({ name }) => name)).toEqual(['x', 'y']);
  });
});

describe('a user cannot forge rows', () => {
  const few = [...requiredColumns];
  const good = ['p/enc  filesystem  1  2', 'p/enc@a  snapshot  3  4'];
  const listed = (expected: ExpectedNames, ...lines: string[]) =>
    parseListing({ stdout: rows(...good, ...lines), columns: few, expected });

  it('so no user property is a column of a listing', () => {
    expect([...requiredColumns, ...optionalColumns].filter((column) => column.includes(':'))).toEqual([]);
  });

  it.each([
    ['of another width', 'p/a  filesystem  5'],
    ['of another width', 'p/a  filesystem  5  6  7'],
    ['that is there twice', 'p/enc  filesystem  9  9'],
    ['that is there twice', 'p/enc@a  snapshot  9  9'],
    ['of an unknown type', 'p/a%r  receiving  5  6'],
    ['of another type than its name', 'p/a@x  filesystem  5  6'],
    ['of another type than its name', 'p/a  snapshot  5  6'],
    ['of another type than its name', 'p/a@x  bookmark  5  6'],
    ['without a name', '  filesystem  5  6'],
    ['that was not asked for', 'q  filesystem  5  6'],
    ['that was not asked for', 'pq@x  snapshot  5  6'],
  ])('a row %s refuses all: %s', (_, row) => {
    expect(() => listed('p', row)).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
    expect(() => parseInspected(rows(...good, row), few, new Set(['p/enc', 'p/enc@a']))).toThrow(
      expect.objectContaining({ code: 'INTERNAL', details: { reason: 'unreadable' } }),
    );
  });

  it('a listing of given names contains no other name', () => {
    expect(() => parseInspected(rows(...good), few, new Set(['p/enc']))).toThrow(
      expect.objectContaining({ details: { reason: 'unreadable' }, message: mentions('"p/enc@a"') }),
    );
    expect(parseInspected(rows(...good), few, new Set(['p/enc', 'p/enc@a']))).toHaveLength(2);
  });

  const asked = ['a:x', 'a:y'];
  const values = (...lines: string[]) => parseProperties(lines.map((line) => `${line}\n`).join(''), asked, 'p');
  const own = ['p/m\ta:x\t1', 'p/m\ta:y\t-', 'p/enc\ta:x\t-', 'p/enc\ta:y\t-'];

  it('values are read by name', () => {
    expect(values(...own).get('p/m')).toEqual({ 'a:x': '1', 'a:y': '-' });
  });

  it.each([
    ['a row of another dataset', 'p/enc\ta:x\tforged'],
    ['half a row', 'forged'],
    ['a tab', 'p/z\ta:x\t1\t2'],
    ['another property', 'p/z\ta:z\t1'],
    ['a dataset that was not asked for', 'q\ta:x\t1'],
    ['a row with a name of Object.prototype', 'p/z\ttoString\t1'],
  ])('a value with %s refuses the listing, and the error names the property', (_, line) => {
    const [first = '', ...others] = own;
    expect(() => values(first, line, ...others)).toThrow(
      expect.objectContaining({ details: { reason: 'unreadable' }, message: mentions('a:x of "p/m"', 'zfs inherit') }),
    );
  });

  it.each(['tank/a@1  x', 'tank/a@1  x  Mon  y', 'tank/b@1  zpsend:base  Mon'])('nor a tag: %s', (row) => {
    expect(() => parseHolds(rows(row), new Set(['tank/a@1']))).toThrow(
      expect.objectContaining({ details: { reason: 'unreadable' } }),
    );
  });
});

describe('origins', () => {
  it('get the guid of the snapshot in the same listing', () => {
    const datasets = read(listing);
    expect(joinOrigins(datasets, new Map())).toEqual([]);
    expect(datasets[0]?.origin).toEqual({ name: 'tank/src@a', guid: '18446744073709551615' });
  });

  it('outside the listing are returned, and set from a second listing', () => {
    const datasets = read(listing, 'tank/clone');
    expect(joinOrigins(datasets, new Map())).toEqual(['tank/src@a']);
    expect(datasets[0]?.origin).toEqual({ name: 'tank/src@a' });
    expect(joinOrigins(datasets, new Map([['tank/src@a', '42']]))).toEqual([]);
    expect(datasets[0]?.origin).toEqual({ name: 'tank/src@a', guid: '42' });
  });
});

it('an inspection returns existing names with their types', () => {
  expect(seenIn(listing).map(({ name, type }) => [name, type])).toEqual([
    ['tank/clone', 'filesystem'],
    ['tank/enc', 'volume'],
    ['tank/src', 'filesystem'],
    ['tank/src@b', 'snapshot'],
    ['tank/src@a', 'snapshot'],
    ['tank/src#bm', 'bookmark'],
    ['tank/src/my data:1', 'filesystem'],
    ['tank/src/my data:1@at 12:00', 'snapshot'],
  ]);
  expect(seenIn(listing)[2]).toMatchObject({ resumeToken: '1-ab-c0-78', written: 512, userrefs: 0 });
  expect(seenIn(listing)[1]).toMatchObject({ name: 'tank/enc', keystatus: 'unavailable' });
  expect(seenIn(listing)[2]).not.toHaveProperty('keystatus');
  expect(seenIn(listing)[4]).toMatchObject({ guid: '18446744073709551615', written: 2, userrefs: 3 });
});

it('holds are parsed without their dates', () => {
  const holds = rows('tank/a b@1  keep me  Mon Nov 23 21:27 2026', 'tank/a b@1  zpsend:x  Mon Nov 23 21:28 2026');
  expect(parseHolds(holds, new Set(['tank/a b@1']))).toEqual([
    { snapshot: 'tank/a b@1', tag: 'keep me' },
    { snapshot: 'tank/a b@1', tag: 'zpsend:x' },
  ]);
});

it('unavailable pools have no sizes', () => {
  expect(parsePools(rows('dst  83886080  491008  83395072  ONLINE  off', 'old  -  -  -  UNAVAIL  -'))).toEqual([
    { name: 'dst', size: 83886080, allocated: 491008, free: 83395072, health: 'ONLINE', readOnly: false },
    { name: 'old', size: 0, allocated: 0, free: 0, health: 'UNAVAIL', readOnly: false },
  ]);
});

it('edge case 38: pools that are imported read-only are listed', () => {
  const pools = parsePools(rows('p  201326592  0  201326592  ONLINE  on', 'q  201326592  0  201326592  ONLINE  off'));
  expect(pools.map(({ name, readOnly }) => [name, readOnly])).toEqual([
    ['p', true],
    ['q', false],
  ]);
  const all = rows(
    'p  readonly  on',
    'p  feature@encryption  active',
    'q  readonly  off',
    'q  feature@encryption  disabled',
  );
  expect(parsePoolFacts(all)).toEqual({
    active: { p: ['encryption'], q: [] },
    features: { p: ['encryption'], q: [] },
    readOnlyPools: ['p'],
  });
});

/** `zfs send -nvP -t TOKEN` of OpenZFS 2.3.2. */
const token = `resume token contents:
nvlist version: 0
\tfromguid = 0xc35fefb863b03950
\tobject = 0x3
\toffset = 0x960000
\tbytes = 0x9869c0
\ttoguid = 0x12b70b4297c31ef8
\ttoname = tank/my src@c
incremental\ttank/src@b\ttank/src@c\t32036528
size\t32036528
`;

describe('a dry run', () => {
  it('has the size', () => {
    expect(parseEstimate('full\ttank/src@b\t12912\nsize\t12912\n')).toBe(12912);
    expect(parseEstimate(token)).toBe(32036528);
  });

  it('has no size without a size line, even if a dataset has such a name', () => {
    expect(parseEstimate('full\ttank/size\t1\n')).toBeUndefined();
    expect(parseEstimate('')).toBeUndefined();
  });
});
