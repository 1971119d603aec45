import { describe, expect, it } from 'vitest';
import { compare, restrictedSides, toSend, withContents } from '../../../../lib/verify/compare.ts';
import { contentOf, type Read, readingOf } from '../../../../lib/verify/contents.ts';
import type { DatasetEntry, Inventory } from '../../../../schemas/inventory.ts';
import type { Content } from '../../../../schemas/verify.ts';
import { mentions } from '../../../support/mentions.ts';

/** `a=1 b=2`: snapshots and their guids, oldest first. */
const dataset = (name: string, history: string, more: Partial<DatasetEntry> = {}): DatasetEntry => ({
  name,
  type: 'filesystem',
  guid: '1',
  createtxg: '1',
  used: 0,
  referenced: 0,
  written: 0,
  encryption: 'off',
  bookmarks: [],
  snapshots: history
    .split(' ')
    .filter((word) => word !== '')
    .map((word, at) => {
      const [leaf = '', guid = ''] = word.split('=');
      return { name: leaf, guid, createtxg: String(at + 1), used: 0, referenced: 0, written: 0, userrefs: 0 };
    }),
  ...more,
});
const inventory = (host: string, ...datasets: DatasetEntry[]): Inventory => ({ host, datasets });

/** One dataset of two histories: its state, the newest common, and the states of its snapshots. */
function one(source: string, target: string, snapshot?: string) {
  const [found] = compare(
    { source: 'zones/a', target: 'tank/a', recursive: false, ...(snapshot !== undefined && { snapshot }) },
    inventory('smos-01', dataset('zones/a', source)),
    inventory('smos-00', dataset('tank/a', target)),
  );
  const rows = (found?.snapshots ?? []).map(
    ({ state, source, target }) => `${state} ${source?.name ?? '-'}/${target?.name ?? '-'}`,
  );
  return { state: found?.state, newest: found?.newestCommon, rows, toSend: toSend(found?.snapshots ?? []) };
}

describe('two histories of one dataset', () => {
  it.each([
    ['the same', 'a=1 b=2', 'a=1 b=2', 'equal', 'b', ['equal a/a', 'equal b/b'], 0],
    [
      'newer ones are not there yet',
      'a=1 b=2 c=3',
      'a=1',
      'behind',
      'a',
      ['equal a/a', 'missing b/-', 'missing c/-'],
      2,
    ],
    ['newer ones cannot come', 'a=1 b=2', 'a=1 x=7', 'diverged', 'a', ['equal a/a', 'missing b/-', 'extra -/x'], 1],
    ['the target has all sent snapshots and its own', 'a=1', 'a=1 x=7', 'equal', 'a', ['equal a/a', 'extra -/x'], 0],
    ['older ones were never sent, or are gone', 'a=1 b=2', 'b=2', 'equal', 'b', ['missing a/-', 'equal b/b'], 0],
    ['the source has pruned', 'b=2', 'a=1 b=2', 'equal', 'b', ['equal b/b', 'extra -/a'], 0],
    ['a snapshot was renamed', 'a=1 b=2', 'a=1 x=2', 'equal', 'b', ['equal a/a', 'renamed b/x'], 0],
    ['the same name is another snapshot', 'a=1 b=2', 'a=1 b=9', 'different', 'a', ['equal a/a', 'different b/b'], 1],
    ['nothing in common', 'a=1', 'a=9', 'unrelated', undefined, ['different a/a'], 1],
    ['nothing in common, not even names', 'a=1', 'z=9', 'unrelated', undefined, ['missing a/-', 'extra -/z'], 1],
    ['the target is empty', 'a=1', '', 'missing', undefined, ['missing a/-'], 1],
    ['the source is empty', '', 'a=1', 'empty', undefined, ['extra -/a'], 0],
    ['two names have changed places', 'a=1 b=2', 'b=1 a=2', 'equal', 'b', ['renamed a/b', 'renamed b/a'], 0],
    [
      'a renamed snapshot has the name of another one',
      'b=2 a=3',
      'a=2',
      'behind',
      'b',
      ['renamed b/a', 'missing a/-'],
      1,
    ],
    [
      'a new snapshot has the old name of a renamed one',
      'a=1 b=2',
      'x=1 a=9 b=2',
      'equal',
      'b',
      ['renamed a/x', 'equal b/b', 'extra -/a'],
      0,
    ],
  ])('%s', (_what, source, target, state, newest, rows, count) => {
    expect(one(source, target)).toEqual({ state, newest, rows, toSend: count });
  });

  it('are compared from a bookmark if the source has destroyed the sent snapshot', () => {
    const bookmarks = [{ name: 'zpsend_x', guid: '1', createtxg: '1' }];
    const states = [[], bookmarks].map((marks) => {
      const [found] = compare(
        { source: 'zones/a', target: 'tank/a', recursive: false },
        inventory('smos-01', dataset('zones/a', 'b=2', { bookmarks: marks })),
        inventory('smos-00', dataset('tank/a', 'a=1')),
      );
      return found?.state;
    });
    expect(states).toEqual(['unrelated', 'behind']);
  });

  it('are compared only at the named snapshot, if there is one', () => {
    expect(one('a=1 b=2 c=3', 'a=1', 'a')).toMatchObject({ state: 'equal', rows: ['equal a/a'] });
    expect(one('a=1 b=2', 'a=9 b=2', 'a')).toMatchObject({ state: 'different', rows: ['different a/a'] });
    expect(one('a=1 b=2', 'a=1', 'b')).toMatchObject({ state: 'missing', rows: ['missing b/-'] });
    expect(one('a=1', 'a=1 b=2', 'b')).toMatchObject({ state: 'unnamed', rows: [] });
  });
});

describe('two trees', () => {
  const asked = { source: 'zones/vm', target: 'tank/vm', recursive: true };
  const source = inventory('s', dataset('zones/vm', ''), dataset('zones/vm/a', 'x=1'), dataset('zones/vmx', 'x=5'));
  const target = inventory('t', dataset('tank/vm', ''), dataset('tank/vm/b', 'y=2'), dataset('tank/vmx', 'x=5'));

  it('are compared dataset by dataset, those only on the target come last, and siblings are ignored', () => {
    const rows = compare(asked, source, target).map(({ source, target, state }) => [source, target, state]);
    expect(rows).toEqual([
      ['zones/vm', 'tank/vm', 'empty'],
      ['zones/vm/a', 'tank/vm/a', 'missing'],
      ['zones/vm/b', 'tank/vm/b', 'extra'],
    ]);
  });

  it('are compared without excluded datasets, by their names on the source', () => {
    const isLeftOut = (name: string) => name === 'zones/vm/b';
    expect(compare({ ...asked, isLeftOut }, source, target)).toHaveLength(2);
  });

  it('are compared only at their roots without -R', () => {
    expect(compare({ ...asked, recursive: false }, source, target)).toHaveLength(1);
  });
});

describe('the stream kind for both sides', () => {
  const plain = dataset('zones/a', '');
  const open = dataset('zones/a', '', { encryption: 'aes-256-gcm', keystatus: 'available' });
  const locked = dataset('tank/a', '', { encryption: 'aes-256-gcm', keystatus: 'unavailable' });

  it.each([
    ['both plain', plain, plain, { raw: false }],
    ['one encrypted with its key', open, plain, { raw: false }],
    ['both encrypted with their keys', open, open, { raw: false }],
    ['a raw replica without its key', open, locked, { raw: true }],
    ['neither with its key', locked, locked, { raw: true }],
  ])('%s', (_what, source, target, reading) => {
    expect(readingOf(source, target)).toEqual(reading);
  });

  it('is none if only one is encrypted, and without its key', () => {
    expect(readingOf(plain, locked)).toEqual({ incomparable: mentions('tank/a') });
  });
});

describe('the result of two readings', () => {
  const read = (digest: string, more: object = {}): Read => ({
    digest: { digest, method: 'plain-1-little', guid: '7', ...more },
  });
  const failed = (code: 'NO_SUCH_SNAPSHOT' | 'KEY_REQUIRED' | 'ABORTED'): Read => ({
    error: { code, message: 'why', retryable: false },
  });

  it.each<[string, Read, Read, Content['state']]>([
    ['equal digests', read('aa'), read('aa'), 'equal'],
    ['other digests', read('aa'), read('bb'), 'different'],
    ['another method', read('aa'), read('aa', { method: 'plain-2-little' }), 'incomparable'],
    ['another encryption', read('aa', { ivSet: '1' }), read('bb', { ivSet: '2' }), 'incomparable'],
    ['the same encryption and other digests', read('aa', { ivSet: '1' }), read('bb', { ivSet: '1' }), 'different'],
    ['a snapshot made anew under its name', read('aa', { guid: '8' }), read('aa'), 'gone'],
    ['a snapshot destroyed meanwhile', read('aa'), failed('NO_SUCH_SNAPSHOT'), 'gone'],
    ['a key unloaded meanwhile', failed('KEY_REQUIRED'), read('aa'), 'incomparable'],
    ['a service that stopped', read('aa'), failed('ABORTED'), 'failed'],
  ])('%s', (_what, source, target, state) => {
    expect(contentOf('7', source, target).state).toBe(state);
  });
});

describe('an incomplete listing', () => {
  const asked = { source: 'zones/a', target: 'tank/a', recursive: true };
  const bare = { withheld: true } as const;
  const all = ['', '/m', '/m/x'];
  const of = (host: string, root: string, withheld: string[], restricted?: true): Inventory => ({
    ...inventory(
      host,
      ...all.map((below) =>
        withheld.includes(below) ? dataset(`${root}${below}`, '', bare) : dataset(`${root}${below}`, 'x=1'),
      ),
    ),
    ...(restricted && { restricted }),
  });

  it.each([
    ['the source', of('s', 'zones/a', ['/m'], true), of('t', 'tank/a', [])],
    ['the target', of('s', 'zones/a', []), of('t', 'tank/a', ['/m'], true)],
    ['both', of('s', 'zones/a', ['/m'], true), of('t', 'tank/a', ['/m'], true)],
  ])('of %s: a dataset shown without its contents is withheld, and not compared', (_who, source, target) => {
    const found = compare(asked, source, target);
    expect(found.map(({ state }) => state)).toEqual(['equal', 'withheld', 'equal']);
    expect(found[1]).toEqual({ source: 'zones/a/m', target: 'tank/a/m', state: 'withheld', snapshots: [] });
  });

  it('is reported with its side and its root', () => {
    const [source, target] = [of('s', 'zones/a', [], true), of('t', 'tank/a', ['/m'])];
    const [ours, theirs] = [
      { side: 'source', host: 's', dataset: 'zones/a' },
      { side: 'target', host: 't', dataset: 'tank/a' },
    ];
    expect(restrictedSides(asked, source, target)).toEqual([ours, theirs]);
    expect(restrictedSides(asked, of('s', 'zones/a', []), target)).toEqual([theirs]);
    expect(restrictedSides(asked, source, of('t', 'tank/a', []))).toEqual([ours]);
  });

  it('is not reported if only unrelated datasets are missing', () => {
    const above = inventory('s', dataset('zones', '', bare), dataset('zones/a', 'x=1'));
    expect(restrictedSides(asked, above, above)).toEqual([]);
    const one = { ...asked, recursive: false };
    expect(restrictedSides(one, of('s', 'zones/a', ['/m'], true), of('t', 'tank/a', ['/m'], true))).toEqual([]);
  });
});

describe('a dataset whose contents were read', () => {
  const [found] = compare(
    { source: 'a', target: 'a', recursive: false },
    inventory('s', dataset('a', 'x=1 y=2')),
    inventory('t', dataset('a', 'x=1 y=2')),
  );
  const after = (...states: Content['state'][]) =>
    found &&
    withContents(
      found,
      found.snapshots.map((snapshot, at) => ({ ...snapshot, ...(states[at] && { content: { state: states[at] } }) })),
    ).state;

  it.each<[Content['state'][], string]>([
    [['equal', 'equal'], 'equal'],
    [['equal', 'different'], 'different'],
    [['different', 'failed'], 'different'],
    [['equal', 'incomparable'], 'unread'],
    [['equal', 'failed'], 'unread'],
    [['gone', 'equal'], 'equal'],
    [['gone', 'gone'], 'unread'],
    [[], 'equal'],
  ])('%j is %s', (states, state) => {
    expect(after(...states)).toBe(state);
  });
});
