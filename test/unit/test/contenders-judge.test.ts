import { expect, test } from 'vitest';
import { intruders, overlaps } from '../../contenders/judge.ts';

const span = (name: string, from: number, to: number) => ({ name, from, to });

test('leases that are valid at one time are reported, each pair with how long', () => {
  expect(overlaps([span('a', 0, 10), span('b', 10, 20), span('c', 25, 30)])).toEqual([]);
  expect(overlaps([span('b', 5, 20), span('a', 0, 10), span('c', 9, 30)])).toEqual([
    { names: ['a', 'b'], ms: 5 },
    { names: ['a', 'c'], ms: 1 },
    { names: ['b', 'c'], ms: 11 },
  ]);
});

test('one lease in two stretches is no other', () => {
  expect(overlaps([span('a', 0, 10), span('a', 5, 20)])).toEqual([]);
});

test('a process that starts under another lease is reported, and one under its own or none is not', () => {
  const leases = [span('a', 0, 10), span('b', 20, 30)];
  const starts = [
    { name: 'a', at: 5 },
    { name: 'a', at: 15 },
    { name: 'a', at: 25 },
    { name: 'b', at: 5 },
  ];
  expect(intruders(starts, leases)).toEqual([
    { name: 'a', at: 25 },
    { name: 'b', at: 5 },
  ]);
});
