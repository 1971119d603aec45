import { describe, expect, test } from 'vitest';
import { type Bounds, type Budget, openTally } from '../../../../lib/bus/bounds.ts';

const bounds: Bounds = { messages: 100, bytes: 1000, ms: 1000 };
const budgetOf = (taken = 0): Budget => ({ bytes: 1500, modest: 50, taken });

describe('a tally of replies', () => {
  test('counts messages and bytes up to the limits', () => {
    const tally = openTally('it', bounds, budgetOf());
    expect(tally.take(1000)).toBeUndefined();
    expect(tally.take(1)).toMatchObject({ code: 'TOO_MUCH', details: { limit: 'bytes', most: 1000 } });
    const many = openTally('it', bounds, budgetOf());
    for (let n = 0; n < 100; n += 1) expect(many.take(1)).toBeUndefined();
    expect(many.take(1)).toMatchObject({ code: 'TOO_MUCH', details: { limit: 'messages', most: 100 } });
  });

  test('refuses large answers when all peers together exceed the budget, but not small ones', () => {
    const budget = budgetOf();
    const [one, two, small] = [1, 2, 3].map(() => openTally('it', bounds, budget));
    expect(one?.take(900)).toBeUndefined();
    expect(two?.take(601)).toMatchObject({ code: 'TOO_MUCH', details: { limit: 'bytes', most: 1500 } });
    expect(small?.take(50)).toBeUndefined();
  });

  test('frees its budget once when it ends, and counts no more', () => {
    const budget = budgetOf();
    const one = openTally('it', bounds, budget);
    one.take(900);
    one.end();
    one.end();
    one.take(900);
    expect(budget.taken).toBe(0);
    expect(openTally('it', bounds, budget).take(1000)).toBeUndefined();
  });
});
