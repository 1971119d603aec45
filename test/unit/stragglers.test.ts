import { describe, expect, test } from 'vitest';
import { openStragglers } from '../../lib/bus/direct/stragglers.ts';

const looks = 10;

/** Looks in a row, each at those that hold the others up; what came of the last. */
function lookAt(...held: string[][]): string | undefined {
  const stragglers = openStragglers<string>(looks);
  return held.map((holdUp) => stragglers.look(holdUp)).at(-1);
}
const times = (count: number, held: string[]): string[][] => Array.from({ length: count }, () => held);

describe('a straggler', () => {
  test('holds the others up in more than half of the looks', () => {
    expect(lookAt(...times(4, []), ...times(6, ['a']))).toBe('a');
  });
  test.each([
    ['half of them', [...times(5, []), ...times(5, ['a'])]],
    ['too few looks', times(9, ['a'])],
    ['one that has caught up', [...times(9, ['a']), []]],
    ['several that take turns', [...times(5, ['a']), ...times(5, ['b'])]],
    ['what is long past', [...times(6, ['a']), ...times(10, []), ['a']]],
  ])('is not: %s', (_what, held) => {
    expect(lookAt(...held)).toBeUndefined();
  });
  test('is told once, and the others are judged anew', () => {
    const stragglers = openStragglers<string>(looks);
    const told = times(3 * looks, ['a', 'b']).map((held) => stragglers.look(held));
    expect(told.filter((one) => one !== undefined)).toHaveLength(3);
    expect(told.indexOf('a')).toBe(looks - 1);
  });
});
