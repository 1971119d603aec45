import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../../..');
const rows = readFileSync(join(root, 'docs/design/guarantees.md'), 'utf8')
  .split('\n')
  .filter((line) => /^\| G\d+ \|/.test(line));

test('each guarantee has its number, and names tests that are there', () => {
  expect(rows.map((row) => Number(/G(\d+)/.exec(row)?.[1]))).toEqual(rows.map((_, at) => at + 1));
  for (const row of rows) {
    const tests = [...row.matchAll(/`(test\/[^`]+[.]test[.]ts)`/g)].map(([, file = '']) => file);
    expect([row, tests.length > 0]).toEqual([row, true]);
    expect(tests.filter((file) => !existsSync(join(root, file)))).toEqual([]);
  }
});
