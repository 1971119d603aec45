import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseCursor } from '../../../../../lib/plan/cursor-name.ts';
import {
  cursorName,
  cursorsOf,
  oldCursors,
  targetHash,
  tentativeCursorName,
} from '../../../../../services/sender/bases/cursor-name.ts';

const target = { host: 'smos-00', dataset: 'zones/test' };
const leaf = (name: string | undefined): string => name?.split('#')[1] ?? '';
const longest = '18446744073709551615';

describe('the name of a cursor', () => {
  test('has a hash of the target host and dataset, and the guid', () => {
    const name = cursorName('zones/test', target, '123');
    expect(name).toMatch(/^zones\/test#zpsend_smos-00_[0-9a-f]{8}_123$/);
    expect(parseCursor(leaf(name))?.guid).toBe('123');
    expect(cursorName('zones/test', { ...target, dataset: 'zones/copy' }, '123')).not.toBe(name);
    expect(cursorName('zones/test', { ...target, host: 'smos-02' }, '123')).not.toBe(name);
  });

  test('fits ZFS’s limit: shorter below a long dataset, and none if there is no room', () => {
    const host = 'h'.repeat(64);
    const of = (length: number) => cursorName(`p/${'x'.repeat(length - 2)}`, { host, dataset: 'zones/test' }, longest);
    expect(of(153)).toHaveLength(255);
    expect(of(154)).toMatch(/#zpsend_[0-9a-f]{8}_[0-9]+$/);
    expect(of(218)).toHaveLength(255);
    expect(of(219)).toBeUndefined();
  });

  test('is parsed for any host name', () => {
    const host = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/);
    const guid = fc.bigInt({ min: 0n, max: BigInt(longest) }).map(String);
    fc.assert(
      fc.property(host, guid, fc.integer({ min: 3, max: 218 }), (host, guid, length) => {
        const dataset = 'p'.repeat(length);
        const place = { host, dataset: 'tank/a b' };
        const name = leaf(cursorName(dataset, place, guid));
        expect(parseCursor(name)?.guid).toBe(guid);
        expect(cursorsOf(place, [{ name, guid }])).toHaveLength(1);
        expect(cursorsOf({ ...place, host: `${host}x`.slice(-64) }, [{ name, guid }])).toHaveLength(
          `${host}x`.slice(-64) === host ? 1 : 0,
        );
      }),
    );
  });

  test.each([
    'mark',
    'zpsend',
    'zpsend_',
    'zpsend_smos-00_1234567_1',
    'zpsend_smos-00_12345678_',
    'zpsend_smos-00_12345678_1x',
    'xzpsend_smos-00_12345678_1',
    'zpsend_smos-00_12345678_123456789012345678901',
  ])('%s is no cursor', (name) => {
    expect(parseCursor(name)).toBeUndefined();
  });
});

describe('the cursors of a dataset', () => {
  const cursor = (guid: string, to = target) => ({
    name: leaf(cursorName('zones/test', to, guid)),
    guid,
    createtxg: guid,
  });
  const short = (guid: string) => ({ name: leaf(cursorName('x'.repeat(210), target, guid)), guid, createtxg: guid });
  const other = { host: 'smos-02', dataset: 'zones/test' };
  const own = { name: 'zpsend_mine', guid: '4', createtxg: '4' };

  test('of one target are found, under both forms of the name', () => {
    const all = [cursor('1'), short('2'), cursor('2', other), own];
    expect(cursorsOf(target, all).map(({ guid }) => guid)).toEqual(['1', '2']);
  });

  test('exclude a bookmark whose name has another guid than itself', () => {
    expect(cursorsOf(target, [{ ...cursor('1'), guid: '7' }])).toEqual([]);
    expect(oldCursors([{ ...cursor('1'), guid: '7' }, cursor('2')])).toEqual([]);
  });

  test('that are tentative make no other cursor stale, and are not stale themselves', () => {
    const held = (guid: string) => ({
      name: tentativeCursorName('zones/test@x', targetHash(target), guid).split('#')[1] ?? '',
      guid,
      createtxg: guid,
    });
    const all = [held('1'), cursor('2'), held('3'), held('4')];
    expect(oldCursors(all)).toEqual([]);
    expect(cursorsOf(target, all)).toEqual(all);
  });

  test('of each target are stale except the newest', () => {
    const all = [cursor('1'), cursor('1', other), cursor('2'), own, cursor('5')];
    expect(oldCursors(all)).toEqual([
      { name: cursor('1').name, guid: '1', newer: cursor('5').name },
      { name: cursor('2').name, guid: '2', newer: cursor('5').name },
    ]);
  });
});
