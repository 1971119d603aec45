import { describe, expect, test } from 'vitest';
import type { ConflictResolution, Rollback } from '../../../../../schemas/conflict.ts';
import { type Code, type ErrorDetails, ZpsendError } from '../../../../../schemas/errors.ts';
import type { DatasetEntry } from '../../../../../schemas/inventory.ts';
import type { ReceiveStart } from '../../../../../schemas/transfer.ts';
import { checkAllowed, checkView, namesToInspect } from '../../../../../services/receiver/admission/admission.ts';
import { checkResolution, otherName } from '../../../../../services/receiver/admission/allowed-conflicts.ts';
import type { View } from '../../../../../services/receiver/admission/view.ts';
import { lostBy } from '../../../../../services/receiver/conflicts/rollback.ts';
import { mentions } from '../../../../support/mentions.ts';
import { dataset } from '../../../lib/plan/plan-history.ts';

const step: ReceiveStart = {
  transfer: 'abc123t1',
  job: 'abc123',
  sourceHost: 'smos-01',
  targetDataset: 'tank/a',
  to: { name: 'zones/test@now', guid: '11' },
  from: { guid: '10' },
  partial: 'resume',
};
const { from: _, ...full } = step;
const clone: ReceiveStart = { ...step, origin: 'tank/a_diverged_5@x' };
const back: Rollback = {
  kind: 'rollback',
  guid: dataset('tank/a', '').guid,
  to: { name: 'tank/a@x', guid: '10' },
  destroys: [{ name: 'y', guid: '12' }],
};
const rotation: ConflictResolution = { kind: 'rename', from: 'tank/a', to: 'tank/a_diverged_5', guid: '900' };
const follow: ConflictResolution = { kind: 'rename', from: 'tank/old', to: 'tank/a', guid: '900' };

const refusal = (call: () => unknown): { code: Code | 'fine'; message: string } => {
  try {
    call();
    return { code: 'fine', message: '' };
  } catch (error) {
    if (error instanceof ZpsendError) return error;
    throw error;
  }
};

describe('I5: a conflict resolution needs the permission of the receiver', () => {
  const may = (start: ReceiveStart, ...conflicts: ('rollback' | 'rotate')[]) =>
    refusal(() => checkResolution(start, 'smos-00', [{ from: 'smos-01', into: 'tank', conflicts }]));

  test.each<[string, ReceiveStart, 'rollback' | 'rotate']>([
    ['a rollback', { ...step, before: back }, 'rollback'],
    ['a rotation, before a clone', { ...clone, before: rotation }, 'rotate'],
    ['a rotation, before a full stream', { ...full, before: rotation }, 'rotate'],
    ['a renaming that follows the source', { ...step, before: follow }, 'rotate'],
  ])('%s', (_, start, conflict) => {
    expect(may(start, conflict).code).toBe('fine');
    expect(may(start, 'rollback', 'rotate').code).toBe('fine');
    expect(may(start, conflict === 'rollback' ? 'rotate' : 'rollback').code).toBe('NOT_ALLOWED');
    expect(may(start)).toMatchObject({
      code: 'NOT_ALLOWED',
      message: mentions(`conflicts: [${conflict}]`, '{from: "smos-01", into: "tank"}'),
    });
    expect(refusal(() => checkResolution(start, 'smos-00', [])).code).toBe('NOT_ALLOWED');
  });

  test('a rule for another host or another dataset gives no permission', () => {
    const rules = [
      { from: 'smos-02', into: 'tank', conflicts: ['rollback' as const] },
      { from: 'smos-01', into: 'tank/b', conflicts: ['rollback' as const] },
      { from: 'smos-01', into: 'tank' },
    ];
    expect(refusal(() => checkResolution({ ...step, before: back }, 'smos-00', rules)).code).toBe('NOT_ALLOWED');
  });

  test('both names of a renaming are in datasets that the source may write', () => {
    const rules = [{ from: '*', into: 'tank/a', conflicts: ['rotate' as const] }];
    expect(refusal(() => checkResolution({ ...full, before: rotation }, 'smos-00', rules))).toMatchObject({
      code: 'NOT_ALLOWED',
      details: { conflict: 'rotate' },
      message: mentions('receive.allow', 'tank/a_diverged_5'),
    });
    expect(refusal(() => checkAllowed(clone, 'smos-00', { allow: rules })).code).toBe('NOT_ALLOWED');
  });

  test.each<[string, ReceiveStart]>([
    ['a rollback of another dataset', { ...step, before: { ...back, to: { name: 'tank/b@x', guid: '10' } } }],
    [
      'a rollback to another snapshot than the base',
      { ...step, before: { ...back, to: { name: 'tank/a@w', guid: '9' } } },
    ],
    ['a rollback before a full stream', { ...full, before: back }],
    ['a rollback before a clone', { ...clone, before: back }],
    ['a renaming of other datasets', { ...full, before: { ...rotation, from: 'tank/b' } }],
    ['a rotation before an incremental', { ...step, before: rotation }],
    ['a renaming to the name of a full stream', { ...full, before: follow }],
    ['a renaming into itself', { ...full, before: { ...rotation, to: 'tank/a/b' } }],
    ['a renaming of its parent', { ...step, before: { ...follow, from: 'tank' } }],
    ['a renaming of a pool', { ...step, targetDataset: 'pond', before: { ...follow, from: 'tank', to: 'pond' } }],
  ])('%s is no part of the step', (_, start) => {
    expect(may(start, 'rollback', 'rotate').code).toBe('BAD_REQUEST');
  });
});

test('I1: a renaming changes two datasets', () => {
  expect(otherName({ ...full, before: rotation })).toBe('tank/a_diverged_5');
  expect(otherName({ ...step, before: follow })).toBe('tank/old');
  expect(otherName({ ...step, before: back })).toBeUndefined();
  expect(otherName(step)).toBeUndefined();
});

const filesystem = (name: string, guid: string, more: Partial<View> = {}): View => ({
  name,
  type: 'filesystem',
  guid,
  ...more,
});
const snapshot = (name: string, guid: string): View => ({ name, type: 'snapshot', guid });
const tank = filesystem('tank', '1');

describe('the target is checked as it is after the conflict resolution', () => {
  const view = (start: ReceiveStart, ...seen: View[]) => {
    let token: string | undefined;
    const { code } = refusal(() => {
      token = checkView(start, 'smos-00', [tank, ...seen], { allow: [{ from: '*', into: 'tank' }] }).token;
    });
    return token === undefined ? code : `token ${token}`;
  };
  const there = filesystem('tank/a', '900', { resumeToken: '1-old' });

  test('a snapshot that will be destroyed does not block one of its name; another snapshot does', () => {
    const start = { ...step, before: { ...back, destroys: [{ name: 'now', guid: '12' }] } };
    expect(view(start, filesystem('tank/a', '900'), snapshot('tank/a@now', '12'))).toBe('fine');
    expect(view(start, filesystem('tank/a', '900'), snapshot('tank/a@now', '13'))).toBe('DIVERGED');
  });

  test('a renamed dataset blocks nothing, and its partial state moves with it', () => {
    expect(view({ ...full, before: rotation }, there)).toBe('fine');
    expect(view({ ...clone, before: rotation }, there, snapshot('tank/a@x', '10'))).toBe('fine');
    expect(view({ ...clone, before: rotation }, there, snapshot('tank/a@x', '9'))).toBe('ORIGIN_MISSING');
    expect(view({ ...clone, before: rotation }, there)).toBe('ORIGIN_MISSING');
  });

  test('I9: a dataset that is already renamed is not renamed again, and its interrupted receive resumes', () => {
    const done = [filesystem('tank/a_diverged_5', '900'), snapshot('tank/a_diverged_5@x', '10')];
    expect(view({ ...clone, before: rotation }, ...done)).toBe('fine');
    expect(view({ ...clone, before: rotation }, ...done, filesystem('tank/a', '901', { resumeToken: '1-new' }))).toBe(
      'token 1-new',
    );
    expect(view({ ...clone, before: rotation }, ...done, filesystem('tank/a', '901'))).toBe('EXISTS');
  });

  test('another dataset is never renamed, and no dataset is renamed to an existing name', () => {
    expect(view({ ...full, before: rotation }, filesystem('tank/a', '901'))).toBe('DIVERGED');
    expect(view({ ...full, before: rotation })).toBe('DIVERGED');
    expect(view({ ...full, before: rotation }, there, filesystem('tank/a_diverged_5', '7'))).toBe('DIVERGED');
  });

  test('a dataset that follows its source exists, with its partial state', () => {
    expect(view({ ...step, before: follow }, filesystem('tank/old', '900'))).toBe('fine');
    expect(view({ ...step, before: follow }, filesystem('tank/old', '900', { resumeToken: '1-a' }))).toBe('token 1-a');
    expect(view({ ...step, before: follow }, filesystem('tank/old', '900'), snapshot('tank/old@now', '13'))).toBe(
      'DIVERGED',
    );
    expect(view({ ...step, before: follow }, filesystem('tank/a', '900'))).toBe('fine');
  });

  test('one inspection covers all names that a conflict resolution needs', () => {
    expect(namesToInspect({ ...clone, before: rotation })).toEqual([
      'tank/a',
      'tank/a@now',
      'tank',
      'tank/a_diverged_5@x',
      'tank/a_diverged_5',
      'tank/a@x',
    ]);
    expect(namesToInspect({ ...step, before: follow })).toEqual(['tank/a', 'tank/a@now', 'tank/old', 'tank/old@now']);
  });
});

describe('I5: a rollback destroys nothing that its plan does not list', () => {
  const lost = (line: string, plan: Rollback = back, more: Partial<DatasetEntry> = {}) =>
    lostBy(plan, dataset('tank/a', line, more), 'smos-00');
  const snapshots = (line: string) => lost(line)?.snapshots.map(({ name }) => name);

  test('the snapshots that are newer by createtxg are destroyed, under their current names', () => {
    expect(snapshots('@old,1 @x,10 @y,12')).toEqual(['y']);
    expect(snapshots('@old,1 @x,10 @renamed,12')).toEqual(['renamed']);
    expect(snapshots('@older,70,5 @x,10 @y,12')).toEqual(['y']);
  });

  test('the rollback is done if no more is written than planned', () => {
    expect(lost('@x,10 @y,12', { ...back, written: 5 }, { written: 5 })).toMatchObject({ snapshots: [{ name: 'y' }] });
    expect(lost('@x,10', { ...back, destroys: [], written: 5 }, { written: 4 })).toMatchObject({ snapshots: [] });
  });

  test('I9: a rollback that would lose nothing is skipped, also if its plan lists losses', () => {
    expect(lost('@old,1 @x,10')).toBeUndefined();
    expect(lost('@old,1 @x,10', back, { rolledBack: 'abcdef1' })).toBeUndefined();
    expect(lost('@x,10 #mine,12')).toBeUndefined();
  });

  const cursor = 'zpsend_far_0123abcd_12';
  test('a newer cursor is destroyed if the plan lists it', () => {
    const listed = { ...back, cursors: [{ name: cursor, guid: '12' }] };
    expect(lost(`@x,10 @y,12 #${cursor},12`, listed)?.cursors.map(({ name }) => name)).toEqual([cursor]);
    expect(lost('@x,10 @y,12', listed)?.cursors).toEqual([]);
  });

  test.each([
    ['a cursor that is not listed', `#${cursor},12`, []],
    ['another program’s bookmark, listed or not', '#mine,12', [{ name: 'mine', guid: '12' }]],
    ['a bookmark that only looks like a cursor', `#${cursor},13`, [{ name: cursor, guid: '12' }]],
  ])('%s: nothing is destroyed', (_, mark, cursors) => {
    expect(refusal(() => lost(`@x,10 @y,12 ${mark}`, { ...back, cursors }))).toMatchObject({
      code: 'DIVERGED',
      details: { new: [mark.split(',')[0]] },
    });
  });

  const several = { ...back, destroys: [...back.destroys, { name: 'z', guid: '13' }], written: 5 };
  test.each<[string, Rollback, string, Partial<DatasetEntry>, ErrorDetails]>([
    ['something new', back, '@x,10 @y,12 @z,13', {}, { new: ['@z'] }],
    ['another snapshot of a listed name', back, '@x,10 @y,13', {}, { new: ['@y'] }],
    ['another snapshot of the rollback’s name', back, '@x,9 @y,12', {}, { snapshot: 'tank/a@x', guid: '10' }],
    ['the rollback’s snapshot under another name', back, '@w,10 @y,12', {}, { snapshot: 'tank/a@x', guid: '10' }],
    [
      'a part of the snapshots is gone, so that written counts more than before',
      several,
      '@x,10 @y,12',
      { written: 5 },
      { missing: ['@z'] },
    ],
    ['all snapshots are gone, and data was written', several, '@x,10', { written: 5 }, { missing: ['@y', '@z'] }],
    ['data was written since the plan', several, '@x,10 @y,12 @z,13', { written: 6 }, { written: 6, planned: 5 }],
    ['data was written where the plan saw none', back, '@x,10 @y,12', { written: 1 }, { written: 1, planned: 0 }],
    [
      'the dataset was rolled back since the plan',
      back,
      '@x,10 @y,12',
      { rolledBack: 'abcdef1' },
      { transfer: 'abcdef1' },
    ],
    [
      'the dataset was rolled back again since the plan',
      { ...back, destroys: [], written: 5, after: 'abcdef1' },
      '@x,10',
      { written: 5, rolledBack: 'abcdef2' },
      { transfer: 'abcdef2' },
    ],
    ['the mark is gone', { ...back, after: 'abcdef1' }, '@x,10 @y,12', {}, { transfer: '' }],
  ])('%s: nothing is destroyed', (_, plan, line, more, details) => {
    expect(refusal(() => lost(line, plan, more))).toMatchObject({
      code: 'DIVERGED',
      details,
    });
  });

  test('nothing is destroyed if the dataset is gone', () => {
    expect(refusal(() => lostBy(back, undefined, 'smos-00')).code).toBe('DIVERGED');
  });
});
