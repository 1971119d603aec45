import { describe, expect, test } from 'vitest';
import type { ConflictResolution, Rollback } from '../../../../../schemas/conflict.ts';
import type { Step } from '../../../../../schemas/plan.ts';
import { limitToApproved } from '../../../../../services/sender/planning/approved-rollbacks.ts';
import { mentions } from '../../../../support/mentions.ts';

const steps = (before?: ConflictResolution): Step[] => [
  { type: 'incremental', to: { name: 'tank/a@2', guid: '2' }, targetDataset: 'tank/a', ...(before && { before }) },
];
const back = (...names: string[]): Rollback => ({
  kind: 'rollback',
  guid: '9',
  to: { name: 'tank/a@1', guid: '1' },
  destroys: names.map((name) => ({ name, guid: name })),
});
const written = (bytes: number, ...names: string[]): Rollback => ({ ...back(...names), written: bytes });
const withCursors = (...names: string[]): Rollback => ({
  ...back('x'),
  cursors: names.map((name) => ({ name, guid: '7' })),
});
const rotation: ConflictResolution = { kind: 'rename', from: 'tank/a', to: 'tank/a_diverged_1', guid: '9' };

const marked = (transfer: string, before: Rollback): Rollback => ({ ...before, after: transfer });

const ours = (transfer: string): boolean => transfer.startsWith('abcdef');
const sinceFirst = { isAnew: false, ours };

describe('I5: a new plan of a job destroys only the snapshots that the first plan lists', () => {
  test.each([
    ['the same', steps(back('x', 'y')), steps(back('x', 'y'))],
    ['the same in another order', steps(back('x', 'y')), steps(back('y', 'x'))],
    ['no snapshot, as planned', steps(back()), steps(back())],
    ['with the same unsnapshotted writes', steps(written(9, 'x')), steps(written(9, 'x'))],
    ['with fewer unsnapshotted writes', steps(written(9, 'x')), steps(written(8, 'x'))],
    ['only unsnapshotted writes', steps(written(9)), steps(written(9))],
    ['the same, for which only the mark was set', steps(back('x')), steps(marked('abcdef1', back('x')))],
    ['nothing', steps(back('x')), steps()],
    ['a renaming, which loses nothing', steps(), steps(rotation)],
    ['its cursors', steps(withCursors('zpsend_c_1')), steps(withCursors('zpsend_c_1'))],
    ['with fewer cursors', steps(withCursors('zpsend_c_1', 'zpsend_c_2')), steps(withCursors('zpsend_c_2'))],
    ['no steps', steps(back('x')), []],
  ])('%s is carried out', (_, first, again) => expect(limitToApproved(first, again, sinceFirst)).toBe(again));

  test.each([
    ['one more', steps(back('x')), steps(back('x', 'y')), ['@x', '@y']],
    ['another', steps(back('x')), steps(back('y')), ['@y']],
    ['the rest of it, which counts the written bytes differently', steps(back('x', 'y')), steps(back('y')), ['@y']],
    ['a rollback that was not planned', steps(), steps(back('x')), ['@x']],
    ['a rollback after that of another job', steps(written(9, 'x')), steps(marked('other01', written(8, 'x'))), ['@x']],
    [
      'a rollback with one more cursor',
      steps(withCursors('zpsend_c_1')),
      steps(withCursors('zpsend_c_1', 'zpsend_c_2')),
      ['@x'],
    ],
    ['a rollback with more unsnapshotted writes', steps(written(9, 'x')), steps(written(10, 'x')), ['@x']],
    [
      'a rollback to another snapshot',
      steps(back('x')),
      steps({ ...back('x'), to: { name: 'tank/a@2', guid: '2' } }),
      ['@x'],
    ],
    ['a rollback in place of a planned renaming', steps(rotation), steps(back('x')), ['@x']],
    [
      'the same rollback of another dataset under the name',
      steps(back('x')),
      steps({ ...back('x'), guid: '8' }),
      ['@x'],
    ],
  ])('%s ends the chain', (_, first, again, names) => {
    expect(limitToApproved(first, again, sinceFirst)).toMatchObject({
      ok: false,
      error: { code: 'DIVERGED', details: { dataset: 'tank/a' }, message: mentions(...names) },
    });
  });

  describe('after the target has settled an unfinished rollback', () => {
    test.each([
      ['the same', steps(written(9, 'x')), steps(written(9, 'x'))],
      ['the rest of it', steps(written(9, 'x', 'y')), steps(written(9, 'y'))],
      ['only unsnapshotted writes', steps(written(9, 'x')), steps(written(9))],
      ['with another mark', steps(marked('abcdef1', written(9))), steps(marked('abcdef1:done', written(9)))],
    ])('%s is carried out', (_, first, again) =>
      expect(limitToApproved(first, again, { isAnew: true, ours })).toBe(again),
    );

    test.each([
      ['a rollback of a snapshot that the first plan does not list', steps(written(9)), steps(written(9, 'x'))],
      ['another one', steps(back('x')), steps(back('y'))],
      ['the same rollback, with more unsnapshotted writes', steps(written(9, 'x')), steps(written(10, 'x'))],
      ['the same rollback of another dataset', steps(back('x')), steps({ ...back('x'), guid: '8' })],
    ])('%s ends the chain', (_, first, again) =>
      expect(limitToApproved(first, again, { isAnew: true, ours })).toMatchObject({
        ok: false,
        error: { code: 'DIVERGED' },
      }),
    );

    test('a rollback of only more unsnapshotted writes is skipped', () =>
      expect(limitToApproved(steps(written(9)), steps(written(10)), { isAnew: true, ours })).toEqual(steps()));
  });

  test.each([
    ['no rollback was planned', steps(), steps(written(1))],
    ['more was written', steps(written(9)), steps(written(10))],
    ['only snapshots were to be destroyed', steps(back('x')), steps(written(1))],
    ['the snapshots are gone, so that it may be done', steps(written(9, 'x')), steps(written(9))],
    ['a transfer has started with it since', steps(written(9)), steps(marked('abcdef1', written(9)))],
    [
      'the job itself has sent the snapshot of the rollback',
      steps(written(9)),
      steps({ ...written(1), to: { name: 'tank/a@2', guid: '2' } }),
    ],
  ])('a rollback of only unsnapshotted writes is skipped if %s: zfs receive decides', (_, first, again) => {
    expect(limitToApproved(first, [...again, ...steps()], sinceFirst)).toEqual([...steps(), ...steps()]);
  });
});
