import { describe, expect, test } from 'vitest';
import { emptyInventory } from '../../../../../lib/plan/predict-target.ts';
import type { BookmarkEntry, DatasetEntry, Inventory, KeyWrapping } from '../../../../../schemas/inventory.ts';
import type { Step } from '../../../../../schemas/plan.ts';
import type { StreamWish } from '../../../../../schemas/stream.ts';
import { cursorName, targetHash, tentativeCursorName } from '../../../../../services/sender/bases/cursor-name.ts';
import { storable } from '../../../../../services/sender/delivery/storable.ts';
import { type KnownTarget, knownTarget } from '../../../../../services/sender/store/known-inventory.ts';
import { plan } from '../../../../support/planning.ts';

const place = { host: 'dst', targetDataset: 'tank/b' };
const sizes = { used: 0, referenced: 10, written: 10 };
const snapshot = (at: number) => ({
  ...{ name: `s${at}`, guid: String(100 + at), createtxg: String(at * 10), userrefs: 0 },
  ...sizes,
});
const entryOf = (name: string, at: readonly number[], more: Partial<DatasetEntry> = {}): DatasetEntry => ({
  ...{ name, type: 'filesystem', guid: '7', createtxg: '1', ...sizes, encryption: 'off' },
  ...{ snapshots: at.map(snapshot), bookmarks: [], ...more },
});
/** The cursor of a snapshot that the target has; `perhaps`: that it may have, or has yet to fetch. */
const cursor = (at: number, kind: 'known' | 'perhaps' = 'known', into = 'tank/b'): BookmarkEntry => {
  const { guid, createtxg } = snapshot(at);
  const target = { host: 'dst', dataset: into };
  const name =
    kind === 'known' ? cursorName('p/a', target, guid) : tentativeCursorName('p/a@x', targetHash(target), guid);
  return { name: name?.split('#')[1] ?? '', guid, createtxg };
};
const row = (at: number | undefined, stream?: string, wrapping?: KeyWrapping) => ({
  ...(at !== undefined && { sent: { name: `s${at}`, guid: String(100 + at) } }),
  ...(stream !== undefined && { stream }),
  ...(wrapping && { wrapping }),
});
const key = 'src.to.dst.p/a.tank/b';

function known(
  source: DatasetEntry | DatasetEntry[],
  rows: Record<string, ReturnType<typeof row>>,
  seen?: Inventory,
  wish: StreamWish = {},
  unseenKeys?: string[],
): KnownTarget {
  const inventory = { host: 'src', datasets: [source].flat() };
  const lastKnown = seen && { target: seen, ...(unseenKeys && { unseenKeys }) };
  return knownTarget(place, { source: inventory, rows: new Map(Object.entries(rows)), wish }, lastKnown);
}
const has = ({ target }: KnownTarget, name = 'tank/b') =>
  target.datasets.find((one) => one.name === name)?.snapshots.map(({ guid }) => Number(guid) - 100);
const seenWith = (at: readonly number[], more: Partial<DatasetEntry> = {}): Inventory => ({
  host: 'dst',
  datasets: [...emptyInventory('dst', 'tank/b').datasets, entryOf('tank/b', at, more)],
});

describe('the known inventory of an offline target', () => {
  test.each<[string, number[] | undefined, DatasetEntry, Record<string, ReturnType<typeof row>>, Inventory?]>([
    ['empty, if nothing was sent', undefined, entryOf('p/a', [1, 2]), {}],
    ['the snapshot of its cursor', [2], entryOf('p/a', [1, 2, 3], { bookmarks: [cursor(1), cursor(2)] }), {}],
    ['the same after its snapshot is gone', [2], entryOf('p/a', [3], { bookmarks: [cursor(2)] }), {}],
    ['the snapshot in its row', [2], entryOf('p/a', [1, 2, 3]), { [key]: row(2) }],
    [
      'the snapshot in its row, after a rollback',
      [2],
      entryOf('p/a', [1, 2, 3], { bookmarks: [cursor(3)] }),
      { [key]: row(2) },
    ],
    [
      'the snapshot of its cursor, if that of its row is gone',
      [2],
      entryOf('p/a', [2, 3], { bookmarks: [cursor(2)] }),
      { [key]: row(1) },
    ],
    [
      'the snapshot of its cursor, if its row was deleted and made again',
      [2],
      entryOf('p/a', [2], { bookmarks: [cursor(2)] }),
      { [key]: row(undefined) },
    ],
    ['its last listing', [1], entryOf('p/a', [1, 2]), {}, seenWith([1])],
    [
      'its last listing, and later sent snapshots',
      [1, 3],
      entryOf('p/a', [1, 3, 4], { bookmarks: [cursor(3)] }),
      {},
      seenWith([1]),
    ],
    [
      'without its own snapshots in the last listing',
      [1, 3],
      entryOf('p/a', [1, 3]),
      { [key]: row(3) },
      seenWith([1, 9]),
    ],
    ['its last listing, if that is newer', [1, 3], entryOf('p/a', [1, 2, 3]), { [key]: row(2) }, seenWith([1, 3])],
    [
      'without snapshots of another target dataset',
      undefined,
      entryOf('p/a', [1], { bookmarks: [cursor(1, 'known', 'tank/c')] }),
      { 'src.to.dst.p/a.tank/c': row(1) },
    ],
  ])('is %s', (_, guids, source, rows, seen) => {
    const result = known(source, rows, seen);
    expect([has(result), result.lost]).toEqual([guids, []]);
    expect(result.isUnknown).toBe(guids === undefined);
  });

  test.each<[string, DatasetEntry, Record<string, ReturnType<typeof row>>, Inventory | undefined, string[]]>([
    [
      'it may have a snapshot',
      entryOf('p/a', [1, 2], { bookmarks: [cursor(2, 'perhaps')] }),
      {},
      undefined,
      ['tank/b'],
    ],
    ['it has a snapshot that the source lacks', entryOf('p/a', [3]), { [key]: row(1) }, undefined, ['tank/b']],
    [
      'the same, though its pool was listed',
      entryOf('p/a', [3]),
      { [key]: row(1) },
      emptyInventory('dst', 'tank/b'),
      ['tank/b'],
    ],
    [
      'not if its listing lacks it: a stored stream may have expired',
      entryOf('p/a', [1, 2], { bookmarks: [cursor(2, 'perhaps')] }),
      {},
      emptyInventory('dst', 'tank/b'),
      [],
    ],
  ])('is lost, and no seed is stored for it: %s', (_, source, rows, seen, lost) => {
    expect(known(source, rows, seen).lost).toEqual(lost);
  });

  test('covers each dataset of a package: an unsent dataset does not exist there', () => {
    const top = entryOf('p/a', [1, 2], { bookmarks: [cursor(2)] });
    const below = entryOf('p/a/x', [1], { guid: '8' });
    const result = known([top, below], {});
    expect([has(result), has(result, 'tank/b/x')]).toEqual([[2], undefined]);
  });

  test('has no partial state of a snapshot that has arrived since', () => {
    const source = entryOf('p/a', [1, 2]);
    const then = known(source, { [key]: row(2) }, seenWith([1], { resumeToken: '1-abc' })).target;
    expect(then.datasets.find(({ name }) => name === 'tank/b')).not.toHaveProperty('resumeToken');
  });
});

describe('the continuation of a chain on an unlisted target', () => {
  const encrypted = { encryption: 'aes-256-gcm', keystatus: 'available' as const };
  test.each<[string, Partial<DatasetEntry>, string | undefined, StreamWish, string[] | 'unsure']>([
    ['plain, with its initial flags', {}, '7:large-block,compressed', {}, ['large-block', 'compressed']],
    ['plain, with its initial flags', {}, '7:', {}, []],
    ['unknown, if nothing is noted', {}, undefined, {}, 'unsure'],
    ['unknown, if the note is of another dataset', {}, '9:large-block', {}, 'unsure'],
    ['as requested, if nothing is noted', {}, undefined, { largeBlock: true }, ['large-block']],
    ['as requested, if nothing is noted', {}, undefined, { largeBlock: false }, []],
    ['unknown, if it is encrypted and nothing is noted', encrypted, undefined, {}, 'unsure'],
    ['unknown, since a raw stream brings a key', encrypted, '7:raw', {}, 'unsure'],
    ['decrypted, with its initial flags', encrypted, '7:large-block', {}, ['large-block']],
    ['unknown, for any request', encrypted, undefined, { raw: false, largeBlock: false }, 'unsure'],
  ])('is %s (%j, %s, %j)', (_, more, noted, stream, flags) => {
    const source = entryOf('p/a', [1, 2], { ...more, bookmarks: [cursor(1)] });
    const { target, unsure } = known(source, { [key]: row(1, noted) }, undefined, stream);
    const request = { dataset: 'p/a', to: { host: 'dst', dataset: 'tank/b' }, stream };
    const planned = plan(request, { host: 'src', datasets: [source] }, target);
    expect(unsure.has('tank/b')).toBe(flags === 'unsure');
    if (flags !== 'unsure') {
      expect(planned).toMatchObject({ ok: true, steps: [{ type: 'incremental', to: { name: 'p/a@s2' } }] });
      if (planned.ok) expect(planned.steps[0]?.flags ?? []).toEqual(flags);
    }
  });
});

describe('a raw chain continues on an unlisted target if its key is unchanged', () => {
  const wrapped = (salt: string): KeyWrapping => ({ format: 'passphrase', salt, iterations: 350_000 });
  const hex: KeyWrapping = { format: 'hex' };
  const source = (wrapping: KeyWrapping) =>
    entryOf('p/a', [1, 2, 3], {
      ...{ encryption: 'aes-256-gcm', keystatus: 'available', encryptionRoot: 'p/a', wrapping, bookmarks: [cursor(1)] },
    });
  const request = { dataset: 'p/a', to: { host: 'dst', dataset: 'tank/b' } };
  const replica = (more: Partial<DatasetEntry> = {}) =>
    seenWith([1], { encryption: 'on', encryptionRoot: 'tank/b', stream: '7:raw', wrapping: wrapped('1'), ...more });
  /** The wrapping of the key that the first step may replace, or the reason why nothing is stored. */
  function stored(
    now: KeyWrapping,
    rows: Record<string, ReturnType<typeof row>>,
    seen?: Inventory,
    unseenKeys?: string[],
  ) {
    const from = source(now);
    const { target, ...unsettled } = known(from, rows, seen, {}, unseenKeys);
    const result = plan(request, { host: 'src', datasets: [from] }, target);
    if (!result.ok) return result.error.code;
    const plans = [{ sourceDataset: 'p/a', targetDataset: 'tank/b', steps: result.steps }];
    const [kept] = storable(plans, target, { ...unsettled, newKeys: new Set() });
    return kept?.refusal ? (kept.refusal.error.details?.reason ?? 'refused') : kept?.steps[0]?.replaces;
  }

  test.each<[string, KeyWrapping, ReturnType<typeof row>, Inventory?, string[]?]>([
    ['by its row', wrapped('1'), row(2, '7:raw', wrapped('1'))],
    ['by its row, which is newer than its listing', wrapped('2'), row(2, '7:raw', wrapped('2')), replica()],
    ['by its listing, if a newer row has no key', wrapped('1'), row(2, '7:raw'), replica()],
    ['by its known target, if it was not listed', wrapped('1'), row(1, '7:raw', wrapped('1')), replica(), ['tank/b']],
  ])('%s', (_, now, noted, seen, unseenKeys) => {
    expect(stored(now, { [key]: noted }, seen, unseenKeys)).toEqual(now);
  });

  test.each<[string, KeyWrapping, ReturnType<typeof row>, string, Inventory?, string[]?]>([
    ['had a change-key', wrapped('2'), row(2, '7:raw', wrapped('1')), 'new-key'],
    ['may have had one: hex keys are all alike', hex, row(2, '7:raw', hex), 'new-key'],
    ['had another iteration count', { ...wrapped('1'), iterations: 1 }, row(2, '7:raw', wrapped('1')), 'new-key'],
    ['has an unknown key', wrapped('1'), row(2, '7:raw'), 'keys-unknown'],
    [
      'was listed with an unknown key',
      wrapped('1'),
      row(2, '7:raw'),
      'keys-unknown',
      seenWith([1], { encryption: 'on', stream: '7:raw' }),
    ],
    ['had a change-key since its listing', wrapped('2'), row(2, '7:raw'), 'new-key', replica()],
    ['had a change-key since it became known', wrapped('2'), row(1, '7:raw'), 'new-key', replica(), ['tank/b']],
    ['is known with a hex key', hex, row(1, '7:raw'), 'new-key', replica({ wrapping: hex }), ['tank/b']],
  ])('and not if it %s', (_, now, noted, reason, seen, unseenKeys) => {
    expect(stored(now, { [key]: noted }, seen, unseenKeys)).toBe(reason);
  });

  test('the key of a decrypted replica below an encrypted dataset is ignored', () => {
    expect(stored(wrapped('2'), { [key]: row(2, '7:', wrapped('9')) })).toBeUndefined();
  });

  test('a clone brings the key of its origin, and is not stored if that key changes', () => {
    const step = (wrapping: KeyWrapping): Step => ({
      ...{
        type: 'incremental',
        to: { name: 'p/c@s1', guid: '201' },
        targetDataset: 'tank/c',
        origin: 'tank/b@s2',
        wrapping,
      },
      ...{ from: { kind: 'snapshot', name: 'p/a@s2', guid: '102' }, flags: ['raw'] },
    });
    const { target, ...unsettled } = known(source(wrapped('1')), { [key]: row(2, '7:raw', wrapped('1')) });
    const kept = (now: KeyWrapping) =>
      storable([{ sourceDataset: 'p/c', targetDataset: 'tank/c', steps: [step(now)] }], target, {
        ...unsettled,
        newKeys: new Set(),
      });
    expect(kept(wrapped('1'))[0]?.steps[0]?.replaces).toEqual(wrapped('1'));
    expect(kept(wrapped('2'))[0]?.refusal?.error.details).toMatchObject({ reason: 'new-key' });
    const unsure = { ...unsettled, unsure: new Set(['tank/b']), newKeys: new Set<string>() };
    expect(
      storable([{ sourceDataset: 'p/c', targetDataset: 'tank/c', steps: [step(wrapped('1'))] }], target, unsure)[0]
        ?.refusal,
    ).toBeDefined();
  });
});
