import { describe, expect, test } from 'vitest';
import type { Clearing, Rollback } from '../../schemas/conflict.ts';
import type { Step } from '../../schemas/plan.ts';
import { beyondPlan, stepToAsk } from '../../services/sender/sanction.ts';

const steps = (before?: Clearing): Step[] => [
  { type: 'incremental', to: { name: 'tank/a@2', guid: '2' }, target: 'tank/a', ...(before && { before }) },
];
const back = (...names: string[]): Rollback => ({
  kind: 'rollback',
  to: { name: 'tank/a@1', guid: '1' },
  destroys: names.map((name) => ({ name, guid: name })),
});
const written = (bytes: number, ...names: string[]): Rollback => ({ ...back(...names), written: bytes });
const withCursors = (...names: string[]): Rollback => ({
  ...back('x'),
  cursors: names.map((name) => ({ name, guid: '7' })),
});
const aside: Clearing = { kind: 'rename', from: 'tank/a', to: 'tank/a_diverged_1', guid: '9' };

describe('I5: a job that plans again destroys nothing but what its first plan lists', () => {
  test.each([
    ['the same', steps(back('x', 'y')), steps(back('x', 'y'))],
    ['what is left of it', steps(back('x', 'y')), steps(back('y'))],
    ['no snapshot, as planned', steps(back()), steps(back())],
    ['with what was written', steps(written(9, 'x')), steps(written(9, 'x'))],
    ['what is left of it, which counts for less', steps(written(9, 'x')), steps(written(5))],
    ['nothing', steps(back('x')), steps()],
    ['a renaming, which loses nothing', steps(), steps(aside)],
    ['its cursors', steps(withCursors('zpsend_c_1')), steps(withCursors('zpsend_c_1'))],
    ['no steps', steps(back('x')), []],
  ])('%s is carried out', (_, first, again) => expect(beyondPlan(first, again, false)).toBeUndefined());

  test.each([
    ['one more', steps(back('x')), steps(back('x', 'y')), /@y since/],
    ['another', steps(back('x')), steps(back('y')), /@y since/],
    ['one where none was planned', steps(), steps(back('x')), /@x since/],
    [
      'a cursor more',
      steps(withCursors('zpsend_c_1')),
      steps(withCursors('zpsend_c_1', 'zpsend_c_2')),
      /#zpsend_c_2 since/,
    ],
    ['what was written, where no rollback was planned', steps(), steps(back()), /was written to/],
    ['what more was written', steps(written(9, 'x')), steps(written(10, 'x')), /was written to/],
    ['what was written, where only snapshots were to go', steps(back('x')), steps(written(1)), /was written to/],
    [
      'a rollback to what the job itself has sent',
      steps(written(9, 'x')),
      steps({ ...written(1), to: { name: 'tank/a@2', guid: '2' } }),
      /was written to/,
    ],
    ['one where a renaming was planned', steps(aside), steps(back('x')), /@x since/],
  ])('%s is not', (_, first, again, words) => {
    expect(beyondPlan(first, again, false)).toMatchObject({
      ok: false,
      error: { code: 'DIVERGED', message: expect.stringMatching(words) },
    });
  });

  test('the very rollback of the plan is not, once the target took bytes: that was done, and what is there is new', () => {
    expect(beyondPlan(steps(written(9, 'x')), steps(written(9)), true)).toMatchObject({
      error: { code: 'DIVERGED', message: expect.stringContaining('was written to') },
    });
    expect(beyondPlan(steps(back('x')), steps(), true)).toBeUndefined();
    expect(beyondPlan(steps(back('x')), steps(aside), true)).toBeUndefined();
  });

  test('nor is it asked for again then; a renaming is, which the receiver finds done', () => {
    const [rolling, renaming] = [steps(written(9, 'x'))[0], steps(aside)[0]];
    if (!rolling || !renaming) throw new Error('no step');
    expect(stepToAsk(rolling, false)).toBe(rolling);
    expect(stepToAsk(rolling, true)).toEqual(steps()[0]);
    expect(stepToAsk(renaming, true)).toBe(renaming);
  });
});
