import { describe, expect, test } from 'vitest';
import { configSchema } from '../../../../schemas/config.ts';
import type { DatasetEntry } from '../../../../schemas/inventory.ts';
import { isInPlace, mayAsk, showing, shownTo } from '../../../../services/host/shown.ts';

const configOf = (receive: object[], send?: object[]) =>
  configSchema.parse({ receive: { allow: receive }, send: send ? { allow: send } : {} });

const entryOf = (name: string, more: Partial<DatasetEntry> = {}): DatasetEntry => ({
  name,
  type: 'filesystem',
  guid: '1',
  createtxg: '1',
  used: 1,
  referenced: 1,
  written: 0,
  encryption: 'off',
  resumeToken: '1-1-1-1',
  snapshots: [{ name: '1', guid: '2', createtxg: '2', used: 0, referenced: 1, written: 1, userrefs: 0 }],
  bookmarks: [{ name: '1', guid: '2', createtxg: '2' }],
  ...more,
});

/** Names of the shown datasets; `-` before those without their contents. */
const namesOf = (entries: readonly DatasetEntry[]) =>
  entries.map(({ name, withheld, snapshots, bookmarks, resumeToken }) => {
    expect([snapshots.length, bookmarks.length, resumeToken !== undefined]).toEqual(
      withheld ? [0, 0, false] : [1, 1, true],
    );
    return `${withheld ? '-' : ''}${name}`;
  });

const pool = ['tank', 'tank/other', 'tank/r', 'tank/r/a', 'tank/r/a/x', 'tank/r/b', 'tank/r/ab', 'zones'];

describe('a host is shown of another host’s datasets', () => {
  test.each([
    [
      'the datasets that it may write, and their parents',
      [{ from: 'a', into: 'tank/r/a' }],
      ['-tank', '-tank/r', 'tank/r/a', 'tank/r/a/x'],
    ],
    [
      'the datasets that every host may write',
      [{ from: '*', into: 'tank/r' }],
      ['-tank', 'tank/r', 'tank/r/a', 'tank/r/a/x', 'tank/r/b', 'tank/r/ab'],
    ],
    ['no dataset if only another host may write', [{ from: 'b', into: 'tank/r/a' }], []],
    ['the parents of a dataset that does not exist yet', [{ from: 'a', into: 'tank/none' }], ['-tank']],
  ])('%s', (_, receive, expected) => {
    const shown = shownTo('a', configOf(receive, []), []);
    expect(
      namesOf(
        showing(
          pool.map((name) => entryOf(name)),
          shown,
        ),
      ),
    ).toEqual(expected);
  });

  test('the datasets that send.allow sends to it, without those that a deeper rule excludes', () => {
    const rules = configOf(
      [],
      [
        { dataset: 'tank/r', to: 'a' },
        { dataset: 'tank/r/b', to: 'b' },
      ],
    );
    const shown = shownTo('a', rules, ['zones']);
    expect(
      namesOf(
        showing(
          pool.map((name) => entryOf(name)),
          shown,
        ),
      ),
    ).toEqual(['-tank', 'tank/r', 'tank/r/a', 'tank/r/a/x', 'tank/r/ab']);
  });

  test('without send.allow only the datasets that were sent to it', () => {
    const shown = shownTo('a', configOf([]), ['tank/r/a']);
    expect(
      namesOf(
        showing(
          pool.map((name) => entryOf(name)),
          shown,
        ),
      ),
    ).toEqual(['-tank', '-tank/r', 'tank/r/a']);
  });

  test('a dataset that was renamed because it was in the way', () => {
    const shown = shownTo('a', configOf([{ from: 'a', into: 'tank/r/a' }]), []);
    expect(
      namesOf(
        showing(
          ['tank/r/a_diverged_12', 'tank/r/b_diverged_12'].map((name) => entryOf(name)),
          shown,
        ),
      ),
    ).toEqual(['tank/r/a_diverged_12']);
  });

  test('a rotated dataset, but no dataset that is only sent, no pool, and none that a rule of send.allow gives to another host', () => {
    const names = ['tank/r/a_diverged_1', 'tank/s_diverged_1', 'tank_diverged_1', 'tank/r/b_diverged_1'];
    const receive = ['tank/r/a', 'tank', 'tank/r/b'].map((into) => ({ from: into === 'tank' ? 'none' : 'a', into }));
    const send = [
      { dataset: 'tank/s', to: 'a' },
      { dataset: 'tank/r/b_diverged_1', to: 'b' },
    ];
    const shown = shownTo('a', configOf(receive, send), []);
    expect(
      namesOf(
        showing(
          names.map((name) => entryOf(name)),
          shown,
        ),
      ),
    ).toEqual(['tank/r/a_diverged_1']);
  });

  test('with raw: required only encrypted datasets; a dataset that it names is never left out', () => {
    const shown = shownTo('a', configOf([], [{ dataset: 'tank/r', to: 'a', raw: 'required' }]), []);
    const encrypted = { encryption: 'aes-256-gcm', encryptionRoot: 'tank/r/e' };
    const entries = [entryOf('tank/r/e', encrypted), entryOf('tank/r/plain')];
    expect(namesOf(showing(entries, shown))).toEqual(['tank/r/e']);
    expect(namesOf(showing(entries.slice(1), shown, 'tank/r/plain'))).toEqual(['-tank/r/plain']);
  });

  test('dependents of these datasets, without their contents: clones, and datasets that inherit their key', () => {
    const shown = shownTo('a', configOf([{ from: 'a', into: 'tank/r' }]), []);
    const origin = { name: 'tank/r/a@1', guid: '2' };
    const other = { name: 'tank/other@1', guid: '3' };
    const entries = [
      entryOf('tank/clone', { origin }),
      entryOf('tank/key', { encryption: 'aes-256-gcm', encryptionRoot: 'tank/r', origin: other }),
      entryOf('tank/foreign', { origin: other, encryptionRoot: 'tank/foreign' }),
    ];
    const own = ['tank/r', 'tank/r/a'].map((name) =>
      entryOf(name, { encryption: 'aes-256-gcm', encryptionRoot: 'tank/r' }),
    );
    const found = showing([...own, ...entries], shown).slice(own.length);
    expect(namesOf(found)).toEqual(['-tank/clone', '-tank/key']);
    expect(found.map((entry) => entry.origin)).toEqual([origin, undefined]);
  });
});

test.each([
  ['its place', 'tank/r', true],
  ['a dataset below the one it may write', 'tank/r/none', true],
  ['a dataset above the one it may write', 'tank', true],
  ['all', undefined, true],
  ['a sibling of the one it may write', 'tank/rr', false],
  ['another pool', 'zones', false],
  ['a dataset that is sent to it', 'vms/a', true],
  ['a dataset that is not sent to it', 'vms/b', false],
])('may a host ask for %s?', (_, dataset, may) => {
  const shown = shownTo('a', configOf([{ from: 'a', into: 'tank/r' }]), ['vms/a']);
  expect(mayAsk(shown, { dataset })).toBe(may);
});

test('a request inside the asker’s own datasets needs no other listing', () => {
  const rules = configOf([
    { from: 'a', into: 'tank/r' },
    { from: 'b', into: 'tank' },
  ]);
  expect(
    ['tank/r', 'tank/r/x', 'tank', 'tank/rr', undefined].map((dataset) => isInPlace(rules, 'a', { dataset })),
  ).toEqual([true, true, false, false, false]);
});
