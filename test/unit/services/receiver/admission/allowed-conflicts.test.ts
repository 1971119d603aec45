import { describe, expect, test } from 'vitest';
import type { Clearing, Rollback } from '../../../../../schemas/conflict.ts';
import { type Code, type ErrorDetails, ZpsendError } from '../../../../../schemas/errors.ts';
import type { DatasetEntry } from '../../../../../schemas/inventory.ts';
import type { ReceiveStart } from '../../../../../schemas/transfer.ts';
import { checkAllowed, checkView, namesToInspect } from '../../../../../services/receiver/admission/admission.ts';
import { checkClearing, otherName } from '../../../../../services/receiver/admission/allowed-conflicts.ts';
import type { View } from '../../../../../services/receiver/admission/view.ts';
import { lostBy } from '../../../../../services/receiver/conflicts/rollback.ts';
import { mentions } from '../../../../support/mentions.ts';
import { dataset } from '../../../lib/plan/plan-history.ts';

const step: ReceiveStart = {
  transfer: 'abc123t1',
  job: 'abc123',
  source: 'smos-01',
  dataset: 'tank/a',
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
const aside: Clearing = { kind: 'rename', from: 'tank/a', to: 'tank/a_diverged_5', guid: '900' };
const follow: Clearing = { kind: 'rename', from: 'tank/old', to: 'tank/a', guid: '900' };

const refusal = (call: () => unknown): { code: Code | 'fine'; message: string } => {
  try {
    call();
    return { code: 'fine', message: '' };
  } catch (error) {
    if (error instanceof ZpsendError) return error;
    throw error;
  }
};

describe('I5: what is done to a target first needs the leave of its receiver', () => {
  const may = (start: ReceiveStart, ...conflicts: ('rollback' | 'rotate')[]) =>
    refusal(() => checkClearing(start, 'smos-00', [{ from: 'smos-01', into: 'tank', conflicts }]));

  test.each<[string, ReceiveStart, 'rollback' | 'rotate']>([
    ['a rollback', { ...step, before: back }, 'rollback'],
    ['a renaming aside, before a clone', { ...clone, before: aside }, 'rotate'],
    ['a renaming aside, before a full stream', { ...full, before: aside }, 'rotate'],
    ['a renaming that follows the source', { ...step, before: follow }, 'rotate'],
  ])('%s', (_, start, conflict) => {
    expect(may(start, conflict).code).toBe('fine');
    expect(may(start, 'rollback', 'rotate').code).toBe('fine');
    expect(may(start, conflict === 'rollback' ? 'rotate' : 'rollback').code).toBe('NOT_ALLOWED');
    expect(may(start)).toMatchObject({
      code: 'NOT_ALLOWED',
      message: mentions(`conflicts: [${conflict}]`, '{from: "smos-01", into: "tank"}'),
    });
    expect(refusal(() => checkClearing(start, 'smos-00', [])).code).toBe('NOT_ALLOWED');
  });

  test('a rule for another host, or for another place, gives none', () => {
    const rules = [
      { from: 'smos-02', into: 'tank', conflicts: ['rollback' as const] },
      { from: 'smos-01', into: 'tank/b', conflicts: ['rollback' as const] },
      { from: 'smos-01', into: 'tank' },
    ];
    expect(refusal(() => checkClearing({ ...step, before: back }, 'smos-00', rules)).code).toBe('NOT_ALLOWED');
  });

  test('both names of a renaming lie where the source may have it', () => {
    const rules = [{ from: '*', into: 'tank/a', conflicts: ['rotate' as const] }];
    expect(refusal(() => checkClearing({ ...full, before: aside }, 'smos-00', rules))).toMatchObject({
      code: 'NOT_ALLOWED',
      details: { conflict: 'rotate' },
      message: mentions('receive.allow', 'tank/a_diverged_5'),
    });
    expect(refusal(() => checkAllowed(clone, 'smos-00', { allow: rules })).code).toBe('NOT_ALLOWED');
  });

  test.each<[string, ReceiveStart]>([
    ['a rollback of another dataset', { ...step, before: { ...back, to: { name: 'tank/b@x', guid: '10' } } }],
    ['a rollback to what is not the base', { ...step, before: { ...back, to: { name: 'tank/a@w', guid: '9' } } }],
    ['a rollback before a full stream', { ...full, before: back }],
    ['a rollback before a clone', { ...clone, before: back }],
    ['a renaming of other datasets', { ...full, before: { ...aside, from: 'tank/b' } }],
    ['a renaming aside before an incremental', { ...step, before: aside }],
    ['a renaming to the place of a full stream', { ...full, before: follow }],
    ['a renaming into itself', { ...full, before: { ...aside, to: 'tank/a/b' } }],
    ['a renaming of what it lies in', { ...step, before: { ...follow, from: 'tank' } }],
    ['a renaming of a pool', { ...step, dataset: 'pond', before: { ...follow, from: 'tank', to: 'pond' } }],
  ])('%s is no part of the step', (_, start) => {
    expect(may(start, 'rollback', 'rotate').code).toBe('BAD_REQUEST');
  });
});

test('I1: a renaming changes two datasets', () => {
  expect(otherName({ ...full, before: aside })).toBe('tank/a_diverged_5');
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

describe('the target is checked as it will be after the conflict resolution', () => {
  const view = (start: ReceiveStart, ...seen: View[]) => {
    let token: string | undefined;
    const { code } = refusal(() => {
      token = checkView(start, 'smos-00', [tank, ...seen], { allow: [{ from: '*', into: 'tank' }] }).token;
    });
    return token === undefined ? code : `token ${token}`;
  };
  const there = filesystem('tank/a', '900', { resumeToken: '1-old' });

  test('a snapshot that goes is not in the way of one of its name; another is', () => {
    const start = { ...step, before: { ...back, destroys: [{ name: 'now', guid: '12' }] } };
    expect(view(start, filesystem('tank/a', '900'), snapshot('tank/a@now', '12'))).toBe('fine');
    expect(view(start, filesystem('tank/a', '900'), snapshot('tank/a@now', '13'))).toBe('DIVERGED');
  });

  test('a renamed dataset is in the way of nothing, and its partial state goes with it', () => {
    expect(view({ ...full, before: aside }, there)).toBe('fine');
    expect(view({ ...clone, before: aside }, there, snapshot('tank/a@x', '10'))).toBe('fine');
    expect(view({ ...clone, before: aside }, there, snapshot('tank/a@x', '9'))).toBe('ORIGIN_MISSING');
    expect(view({ ...clone, before: aside }, there)).toBe('ORIGIN_MISSING');
  });

  test('I9: what is renamed already is not renamed again, and the receive that was cut is resumed', () => {
    const done = [filesystem('tank/a_diverged_5', '900'), snapshot('tank/a_diverged_5@x', '10')];
    expect(view({ ...clone, before: aside }, ...done)).toBe('fine');
    expect(view({ ...clone, before: aside }, ...done, filesystem('tank/a', '901', { resumeToken: '1-new' }))).toBe(
      'token 1-new',
    );
    expect(view({ ...clone, before: aside }, ...done, filesystem('tank/a', '901'))).toBe('EXISTS');
  });

  test('another dataset is never renamed, nor onto another', () => {
    expect(view({ ...full, before: aside }, filesystem('tank/a', '901'))).toBe('DIVERGED');
    expect(view({ ...full, before: aside })).toBe('DIVERGED');
    expect(view({ ...full, before: aside }, there, filesystem('tank/a_diverged_5', '7'))).toBe('DIVERGED');
  });

  test('a dataset that is followed is one that exists, with its partial state', () => {
    expect(view({ ...step, before: follow }, filesystem('tank/old', '900'))).toBe('fine');
    expect(view({ ...step, before: follow }, filesystem('tank/old', '900', { resumeToken: '1-a' }))).toBe('token 1-a');
    expect(view({ ...step, before: follow }, filesystem('tank/old', '900'), snapshot('tank/old@now', '13'))).toBe(
      'DIVERGED',
    );
    expect(view({ ...step, before: follow }, filesystem('tank/a', '900'))).toBe('fine');
  });

  test('all names that this needs are inspected at once', () => {
    expect(namesToInspect({ ...clone, before: aside })).toEqual([
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

describe('I5: a rollback loses nothing that its plan does not list', () => {
  const lost = (line: string, plan: Rollback = back, more: Partial<DatasetEntry> = {}) =>
    lostBy(plan, dataset('tank/a', line, more), 'smos-00');
  const snapshots = (line: string) => lost(line)?.snapshots.map(({ name }) => name);

  test('what is newer by createtxg goes, under the name that it has now', () => {
    expect(snapshots('@old,1 @x,10 @y,12')).toEqual(['y']);
    expect(snapshots('@old,1 @x,10 @renamed,12')).toEqual(['renamed']);
    expect(snapshots('@older,70,5 @x,10 @y,12')).toEqual(['y']);
  });

  test('with no more written than planned', () => {
    expect(lost('@x,10 @y,12', { ...back, written: 5 }, { written: 5 })).toMatchObject({ snapshots: [{ name: 'y' }] });
    expect(lost('@x,10', { ...back, destroys: [], written: 5 }, { written: 4 })).toMatchObject({ snapshots: [] });
  });

  test('I9: nothing is done where nothing would be lost, also where something was planned', () => {
    expect(lost('@old,1 @x,10')).toBeUndefined();
    expect(lost('@old,1 @x,10', back, { rolledBack: 'abcdef1' })).toBeUndefined();
    expect(lost('@x,10 #mine,12')).toBeUndefined();
  });

  const cursor = 'zpsend_far_0123abcd_12';
  test('a cursor that is newer goes where the plan lists it', () => {
    const listed = { ...back, cursors: [{ name: cursor, guid: '12' }] };
    expect(lost(`@x,10 @y,12 #${cursor},12`, listed)?.cursors.map(({ name }) => name)).toEqual([cursor]);
    expect(lost('@x,10 @y,12', listed)?.cursors).toEqual([]);
  });

  test.each([
    ['a cursor that is not listed', `#${cursor},12`, []],
    ['a bookmark of somebody else’s, listed or not', '#mine,12', [{ name: 'mine', guid: '12' }]],
    ['a bookmark that only looks like a cursor', `#${cursor},13`, [{ name: cursor, guid: '12' }]],
  ])('%s: nothing goes at all', (_, mark, cursors) => {
    expect(refusal(() => lost(`@x,10 @y,12 ${mark}`, { ...back, cursors }))).toMatchObject({
      code: 'DIVERGED',
      details: { new: [mark.split(',')[0]] },
    });
  });

  const several = { ...back, destroys: [...back.destroys, { name: 'z', guid: '13' }], written: 5 };
  test.each<[string, Rollback, string, Partial<DatasetEntry>, ErrorDetails]>([
    ['something new', back, '@x,10 @y,12 @z,13', {}, { new: ['@z'] }],
    ['another snapshot of a listed name', back, '@x,10 @y,13', {}, { new: ['@y'] }],
    ['another snapshot to go back to', back, '@x,9 @y,12', {}, { snapshot: 'tank/a@x', guid: '10' }],
    ['the one to go back to under another name', back, '@w,10 @y,12', {}, { snapshot: 'tank/a@x', guid: '10' }],
    [
      'a part of it gone, so that written counts more than it did',
      several,
      '@x,10 @y,12',
      { written: 5 },
      { missing: ['@z'] },
    ],
    ['all of it gone, and something written', several, '@x,10', { written: 5 }, { missing: ['@y', '@z'] }],
    ['written to since', several, '@x,10 @y,12 @z,13', { written: 6 }, { written: 6, planned: 5 }],
    ['written to where nothing was', back, '@x,10 @y,12', { written: 1 }, { written: 1, planned: 0 }],
    ['rolled back since', back, '@x,10 @y,12', { rolledBack: 'abcdef1' }, { transfer: 'abcdef1' }],
    [
      'rolled back again since',
      { ...back, destroys: [], written: 5, after: 'abcdef1' },
      '@x,10',
      { written: 5, rolledBack: 'abcdef2' },
      { transfer: 'abcdef2' },
    ],
    ['its mark gone', { ...back, after: 'abcdef1' }, '@x,10 @y,12', {}, { transfer: '' }],
  ])('%s: nothing goes at all', (_, plan, line, more, details) => {
    expect(refusal(() => lost(line, plan, more))).toMatchObject({
      code: 'DIVERGED',
      details,
    });
  });

  test('nothing goes where the dataset is gone', () => {
    expect(refusal(() => lostBy(back, undefined, 'smos-00')).code).toBe('DIVERGED');
  });
});
