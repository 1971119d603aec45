import { expect, test } from 'vitest';
import { covered } from '../../../bench/zfs-processes.ts';

const ran = (at: number, ms: number) => ({ argv: [], at, ms });

test.each([
  ['nothing ran', [], 0, 0],
  ['one after the other', [ran(10, 5), ran(20, 5)], 0, 10],
  ['side by side they are waited for once', [ran(10, 10), ran(12, 3), ran(15, 10)], 0, 15],
  ['in any order of their ends', [ran(20, 5), ran(10, 5)], 0, 10],
  ['what each takes besides', [ran(10, 5), ran(20, 5)], 2, 14],
  ['what began before, or goes on after', [ran(-5, 10), ran(95, 100)], 0, 10],
  ['what was over before', [ran(-50, 10)], 0, 0],
])('%s', (_, all, more, ms) => expect(covered(all, more, 0, 100)).toBe(ms));
