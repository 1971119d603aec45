import { describe, expect, it } from 'vitest';
import { conflictResolutionSchema, maxDestroys } from '../../../../schemas/conflict.ts';
import type { DatasetEntry, Inventory } from '../../../../schemas/inventory.ts';
import { planSchema } from '../../../../schemas/plan.ts';
import type { SendRequest } from '../../../../schemas/request.ts';
import { mentions } from '../../../support/mentions.ts';
import { plan } from '../../../support/planning.ts';
import { dataset, inventory, request, short } from './plan-history.ts';

const name = 'zones/test';
const zones = dataset('zones', '');

/** One dataset each side, and further datasets of the target. */
function planned(source: string, target: DatasetEntry, more: Partial<SendRequest> = {}, others: DatasetEntry[] = []) {
  const result = plan(
    request(name, more),
    inventory('src', dataset(name, source)),
    inventory('dst', zones, target, ...others),
  );
  expect(planSchema.parse(result)).toEqual(result);
  return {
    result,
    steps: short(result),
    before: result.ok ? result.steps.map((step) => step.before) : [],
    notes: result.ok ? (result.notes ?? []).map((note) => `${note.kind} ${note.dataset}: ${note.message}`) : [],
    message: result.ok ? '' : result.error.message,
    details: result.ok ? {} : result.error.details,
  };
}

const rollback = { conflict: 'rollback' } as const;
const rotate = { conflict: 'rotate' } as const;

describe('refuse', () => {
  it.each([undefined, 'refuse'] as const)('is the meaning of %s: nothing is done to the target', (conflict) => {
    const { steps, message } = planned('@a,1 @b,2', dataset(name, '@a,1 @x,7'), conflict && { conflict });
    expect(steps).toBe('DIVERGED');
    expect(message).toEqual(mentions('--conflict rollback', '--conflict rotate'));
  });

  it('plans the steps into a target with only unsnapshotted writes, and zfs receive decides', () => {
    expect(planned('@a,1 @b,2', dataset(name, '@a,1', { written: 5 }))).toMatchObject({
      steps: ['@a -> @b'],
      before: [undefined],
      notes: [mentions('modified zones/test', '5 bytes', 'MODIFIED', '--conflict rollback')],
    });
    expect(planned('@a,1', dataset(name, '@a,1', { written: 5 })).notes).toEqual([]);
    expect(planned('@a,1 @b,2', dataset(name, '', { written: 5 }))).toMatchObject({ steps: 'EXISTS', notes: [] });
  });

  it('has the bytes written since the newest snapshot in its evidence', () => {
    const { result, message } = planned('@a,1 @b,2', dataset(name, '@a,1 @x,7', { written: 4096 }));
    expect(result).toMatchObject({ evidence: { newestCommon: 'a', targetOnly: ['x'], modified: 4096 } });
    expect(message).toEqual(mentions('4096 bytes', 'dst'));
    expect(planned('@a,1 @b,2', dataset(name, '@a,1 @x,7')).result).toMatchObject({
      evidence: expect.not.objectContaining({ modified: expect.anything() }),
    });
  });
});

describe('rollback', () => {
  it('destroys exactly the snapshots after the newest common one, before the first step', () => {
    const { steps, before, notes } = planned('@a,1 @b,2 @c,3 @d,4', dataset(name, '@a,1 @b,2 @x,70 @y,71'), rollback);
    expect(steps).toEqual(['@b -> @c', '@c -> @d']);
    expect(before).toEqual([
      {
        kind: 'rollback',
        guid: dataset(name, '').guid,
        to: { name: 'zones/test@b', guid: '2' },
        destroys: [
          { name: 'x', guid: '70' },
          { name: 'y', guid: '71' },
        ],
      },
      undefined,
    ]);
    expect(conflictResolutionSchema.parse(before[0])).toEqual(before[0]);
    expect(notes).toEqual([
      'rollback zones/test: zones/test on dst is rolled back to @b; @x, @y there will be DESTROYED',
    ]);
  });

  it('follows the target’s own order and names, and the source’s bookmarks too', () => {
    const { steps, before } = planned('#a,1 @b,2', dataset(name, '@mine,7,5 @here,1,10 @x,8,11'), rollback);
    expect(steps).toEqual(['#a -> @b']);
    expect(before).toMatchObject([{ to: { name: 'zones/test@here', guid: '1' }, destroys: [{ name: 'x' }] }]);
  });

  it('destroys no snapshot if the target has only unsnapshotted writes, and notes the loss', () => {
    const there = dataset(name, '@a,1', { written: 4096, rolledBack: 'abcdef1' });
    const { before, notes } = planned('@a,1 @b,2', there, rollback);
    expect(before).toEqual([
      {
        kind: 'rollback',
        guid: there.guid,
        to: { name: 'zones/test@a', guid: '1' },
        destroys: [],
        written: 4096,
        after: 'abcdef1',
      },
    ]);
    expect(conflictResolutionSchema.parse(before[0])).toEqual(before[0]);
    expect(notes).toEqual([
      'rollback zones/test: zones/test on dst is rolled back to @a; no snapshot is destroyed; the 4096 bytes written ' +
        'there since the newest snapshot will be lost',
    ]);
  });

  it('removes the target’s own cursors of destroyed snapshots, since ZFS rolls back over no bookmark, and notes it', () => {
    const [old, gone] = ['zpsend_far_0123abcd_1', 'zpsend_far_0123abcd_7'];
    const { before, notes } = planned('@a,1 @b,2', dataset(name, `@a,1 @x,7 #${old},1 #${gone},7`), rollback);
    expect(before).toMatchObject([{ destroys: [{ name: 'x' }], cursors: [{ name: gone, guid: '7' }] }]);
    expect(conflictResolutionSchema.parse(before[0])).toEqual(before[0]);
    expect(notes[0]).toEqual(mentions(`#${gone}`, 'zones/test'));
  });

  it('does nothing if there is nothing to send, and notes that', () => {
    for (const conflict of [rollback, rotate]) {
      const { steps, notes } = planned('@a,1 @b,2', dataset(name, '@a,1 @b,2 @x,7'), conflict);
      expect(steps).toEqual([]);
      expect(notes).toEqual([mentions('skipped zones/test', 'zones/test', 'dst', '@x')]);
    }
    expect(planned('@a,1', dataset(name, '@a,1', { written: 9 }), rollback)).toMatchObject({ steps: [], notes: [] });
  });

  it('notes a hold on a snapshot that has to be destroyed', () => {
    const target = dataset(name, '@a,1 @x,7');
    const held = {
      ...target,
      snapshots: target.snapshots.map((one) => ({ ...one, userrefs: one.name === 'x' ? 1 : 0 })),
    };
    expect(planned('@a,1 @b,2', held, rollback).notes[0]).toEqual(mentions('@x'));
  });

  it.each([
    ['no common snapshot', '@a,1', dataset(name, '@x,7'), [], ['--conflict rotate']],
    [
      'a clone of a snapshot that would have to be destroyed',
      '@a,1 @b,2',
      dataset(name, '@a,1 @x,7'),
      [dataset('zones/clone', '', { origin: { name: 'zones/test@x', guid: '7' } })],
      ['zones/clone', 'zones/test@x'],
    ],
    ['a newer bookmark', '@a,1 @b,2', dataset(name, '@a,1 @x,7 #m,7'), [], ['zfs destroy "zones/test#m"']],
    [
      'a newer bookmark that only looks like a cursor',
      '@a,1 @b,2',
      dataset(name, '@a,1 @x,7 #zpsend_far_0123abcd_8,7'),
      [],
      ['zfs destroy "zones/test#zpsend_far_0123abcd_8"'],
    ],
    [
      'common snapshots in another order',
      '@a,1 @b,2 @c,3',
      dataset(name, '@b,2,10 @a,1,11'),
      [],
      ['src', '@a', '--conflict rotate'],
    ],
    ['a taken name that is older', '@b,2 @daily,3', dataset(name, '@daily,1 @b,2'), [], ['@b', '--conflict rotate']],
  ])('refuses for %s', (_, source, target, others, facts) => {
    expect(planned(source, target, rollback, others)).toMatchObject({
      steps: 'DIVERGED',
      message: mentions(...facts),
      details: { unhelpful: 'rollback' },
    });
  });

  it('refuses a dataset without a snapshot, and more snapshots than one step can name', () => {
    expect(planned('@a,1', dataset(name, ''), rollback).steps).toBe('EXISTS');
    const many = Array.from({ length: maxDestroys + 1 }, (_, at) => `@s${at},${at + 10}`).join(' ');
    expect(planned('@a,1 @b,2', dataset(name, `@a,1 ${many}`), rollback)).toMatchObject({
      message: mentions(maxDestroys + 1, maxDestroys),
      details: { unhelpful: 'rollback' },
    });
  });

  it('rolls back no further than the newest common snapshot for one incremental from an older base', () => {
    expect(planned('@a,1 @b,2 @c,3', dataset(name, '@a,1 @b,2 @x,7'), { ...rollback, from: '@a' }).steps).not.toEqual(
      expect.arrayContaining(['@a -> @c']),
    );
    const one = plan(
      request('zones/test@c', { ...rollback, from: '@a' }),
      inventory('src', dataset(name, '@a,1 @b,2 @c,3')),
      inventory('dst', zones, dataset(name, '@a,1 @b,2 @x,7')),
    );
    expect(short(one)).toBe('DIVERGED');
    expect(
      plan(
        request('zones/test@c', { ...rollback, from: '@b' }),
        inventory('src', dataset(name, '@a,1 @b,2 @c,3')),
        inventory('dst', zones, dataset(name, '@a,1 @b,2 @x,7')),
      ),
    ).toMatchObject({ ok: true, steps: [{ before: { kind: 'rollback', destroys: [{ name: 'x' }] } }] });
  });
});

describe('rotate', () => {
  const guid = dataset(name, '').guid;

  it('renames a diverged dataset by the createtxg of the common snapshot there, and starts again as a clone of it', () => {
    const { result, steps, before, notes } = planned('@a,1 @b,2 @c,3', dataset(name, '@a,1,40 @x,70,41'), rotate);
    expect(steps).toEqual(['@a -> @b', '@b -> @c']);
    expect(before).toEqual([{ kind: 'rename', from: 'zones/test', to: 'zones/test_diverged_40', guid }, undefined]);
    expect(result).toMatchObject({ steps: [{ origin: 'zones/test_diverged_40@a' }, {}] });
    expect(result.ok && result.steps[1]).not.toHaveProperty('origin');
    expect(notes).toEqual([mentions('rename zones/test', 'dst', 'zones/test_diverged_40', 'zones/test_diverged_40@a')]);
  });

  it('renames a dataset with only unsnapshotted writes as well', () => {
    expect(planned('@a,1 @b,2', dataset(name, '@a,1', { written: 1 }), rotate)).toMatchObject({
      steps: ['@a -> @b'],
      before: [{ kind: 'rename', to: 'zones/test_diverged_1' }],
    });
  });

  it.each([
    ['only local snapshots', dataset(name, '@x,70', { createtxg: '33' })],
    ['no snapshot at all', dataset(name, '', { createtxg: '33' })],
  ])('renames a dataset with %s by its own createtxg, and seeds', (_, target) => {
    const { steps, before, notes } = planned('@a,1 @b,2', target, rotate);
    expect(steps).toEqual(['full @a', '@a -> @b']);
    expect(before[0]).toEqual({ kind: 'rename', from: 'zones/test', to: 'zones/test_diverged_33', guid });
    expect(notes[0]).toEqual(mentions('rename zones/test', 'dst', 'zones/test_diverged_33'));
  });

  it('renames for a name that an older snapshot has, and for exactly one full stream', () => {
    expect(planned('@b,2 @daily,3', dataset(name, '@daily,1 @b,2'), rotate)).toMatchObject({
      steps: ['@b -> @daily'],
      before: [{ to: 'zones/test_diverged_2' }],
    });
    const one = plan(
      request('zones/test@b', { ...rotate, full: true }),
      inventory('src', dataset(name, '@a,1 @b,2')),
      inventory('dst', zones, dataset(name, '@x,7')),
    );
    expect(one).toMatchObject({ ok: true, steps: [{ type: 'full', before: { kind: 'rename' } }] });
  });

  it('renames for one full stream of an old snapshot as well', () => {
    const one = plan(
      request('zones/test@a', { ...rotate, full: true }),
      inventory('src', dataset(name, '@a,1 @b,2')),
      inventory('dst', zones, dataset(name, '@b,2 @x,7')),
    );
    expect(one).toMatchObject({ ok: true, steps: [{ type: 'full', before: { kind: 'rename' } }] });
  });

  it('takes the next number if the name is taken', () => {
    const taken = [dataset('zones/test_diverged_40', '@o,90'), dataset('zones/test_diverged_40_2', '')];
    expect(planned('@a,1 @b,2', dataset(name, '@a,1,40 @x,70,41'), rotate, taken).before[0]).toMatchObject({
      to: 'zones/test_diverged_40_3',
    });
  });

  it('plans the same after the renaming, and during the interrupted first stream', () => {
    const rotated = dataset('zones/test_diverged_40', '@a,1,40 @x,70,41');
    const source = inventory('src', dataset(name, '@a,1 @b,2'));
    const after = { ok: true, steps: [{ from: { guid: '1' }, origin: 'zones/test_diverged_40@a' }] };
    const partial = dataset(name, '', { resumeToken: '1-a', origin: { name: 'zones/test_diverged_40@a', guid: '1' } });
    for (const there of [[rotated], [rotated, partial]]) {
      const result = plan(request(name, rotate), source, inventory('dst', zones, ...there));
      expect(result).toMatchObject(after);
      expect(result.ok && result.steps[0]).not.toHaveProperty('before');
    }
  });

  it('with -c depends on no earlier dataset', () => {
    expect(planned('@a,1 @b,2', dataset(name, '@a,1 @x,70'), { ...rotate, selfContained: true }).steps).toEqual([
      'full @a',
      '@a -> @b',
    ]);
  });

  it('renames no dataset with children, and no pool', () => {
    const { steps, message, details } = planned('@a,1 @b,2', dataset(name, '@a,1 @x,7'), rotate, [
      dataset('zones/test/kid', ''),
    ]);
    expect([steps, details]).toEqual(['DIVERGED', expect.objectContaining({ unhelpful: 'rotate' })]);
    expect(message).toEqual(mentions('zones/test/kid'));
    const pool = plan(
      request(name, { ...rotate, to: { host: 'dst', dataset: 'zones' } }),
      inventory('src', dataset(name, '@a,1 @b,2')),
      inventory('dst', dataset('zones', '@a,1 @x,7')),
    );
    expect(pool).toMatchObject({ ok: false, error: { message: mentions('zones'), details: { unhelpful: 'rotate' } } });
  });
});

describe('a dataset that was renamed at the source', () => {
  const source = (...more: DatasetEntry[]): Inventory =>
    inventory('src', dataset('zones/p', '@a,1 @b,2'), dataset('zones/p/new', '@a,11 @b,12'), ...more);
  const target = (old: string, ...more: DatasetEntry[]): Inventory =>
    inventory('dst', dataset('zones', ''), dataset('zones/p', '@a,1 @b,2'), dataset('zones/p/old', old), ...more);
  const ask = request('zones/p', { ...rotate, package: 'replication' });

  it('is renamed on the target, with its descendants, before its first step', () => {
    const result = plan(
      ask,
      source(dataset('zones/p/new/kid', '@a,21 @b,22')),
      target('@a,11', dataset('zones/p/old/kid', '@a,21')),
    );
    const guid = dataset('zones/p/old', '').guid;
    expect(result).toMatchObject({
      ok: true,
      steps: [
        { targetDataset: 'zones/p/new', before: { kind: 'rename', from: 'zones/p/old', to: 'zones/p/new', guid } },
        { targetDataset: 'zones/p/new/kid', from: { guid: '21' } },
      ],
      notes: [
        {
          kind: 'rename',
          dataset: 'zones/p/old',
          message: mentions('zones/p/old', 'dst', 'zones/p/new', 'src'),
        },
      ],
    });
    expect(result.ok && result.refused).toBeUndefined();
  });

  it('is not renamed, with a note, under another policy, after divergence, and without a step', () => {
    for (const [request, there, unhelpful, diverged] of [
      [{ ...ask, conflict: 'rollback' }, target('@a,11'), undefined, false],
      [ask, target('@a,11 @x,70'), 'rotate', true],
      [ask, target('@a,11 @b,12'), 'rotate', false],
    ] as const) {
      const result = plan(request, source(), there);
      expect(result).toMatchObject({ ok: true, steps: [], refused: [{ error: { code: 'EXISTS' } }] });
      const error = result.ok ? result.refused?.[0]?.error : undefined;
      expect(error?.details?.unhelpful).toBe(unhelpful);
      expect(error?.message).toEqual(mentions('zones/p/old', '--conflict rotate'));
      expect(error?.message.includes('@x')).toBe(diverged);
    }
  });

  it('is renamed before another dataset takes its old name', () => {
    const reused = dataset('zones/p/old', '@z,90', { guid: '4711' });
    const result = plan(
      ask,
      inventory('src', dataset('zones/p', '@a,1 @b,2'), reused, dataset('zones/p/z', '@a,11 @b,12')),
      target('@a,11'),
    );
    expect(
      result.ok && result.steps.map(({ type, targetDataset: name, before }) => [type, name, before?.kind]),
    ).toEqual([
      ['incremental', 'zones/p/z', 'rename'],
      ['full', 'zones/p/old', undefined],
    ]);
  });

  it('is not mistaken for a rotated dataset', () => {
    const result = plan(
      ask,
      source(),
      inventory(
        'dst',
        dataset('zones', ''),
        dataset('zones/p', '@a,1 @b,2'),
        dataset('zones/p/new_diverged_11', '@a,11'),
      ),
    );
    expect(result).toMatchObject({ ok: true, steps: [{ origin: 'zones/p/new_diverged_11@a' }] });
  });
});

it('in a package each conflict is resolved alone, and clones find their origin under its new name', () => {
  const source = inventory(
    'src',
    dataset('zones/p', '@a,1 @b,2'),
    dataset('zones/p/c', '@k,31', { origin: { name: 'zones/p/o@a', guid: '11' } }),
    dataset('zones/p/o', '@a,11 @b,12'),
  );
  const target = inventory(
    'dst',
    dataset('zones', ''),
    dataset('zones/p', '@a,1'),
    dataset('zones/p/o', '@a,11,50 @x,7,51'),
  );
  const result = plan(request('zones/p', { ...rotate, package: 'replication' }), source, target);
  expect(result).toMatchObject({
    ok: true,
    steps: expect.arrayContaining([
      expect.objectContaining({
        targetDataset: 'zones/p/o',
        origin: 'zones/p/o_diverged_50@a',
        before: expect.anything(),
      }),
      expect.objectContaining({ targetDataset: 'zones/p/c', origin: 'zones/p/o_diverged_50@a' }),
    ]),
  });
});
