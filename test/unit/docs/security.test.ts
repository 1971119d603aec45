import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../../..');
const page = readFileSync(join(root, 'docs/design/security.md'), 'utf8');
/** The rows below the table's head. */
const rows = page.split('\n').filter((line) => line.startsWith('| **'));

test('each row of docs/design/security.md has its five columns and names tests that are there', () => {
  expect(rows.length).toBeGreaterThan(5);
  for (const row of rows) {
    const cells = row.split('|').slice(1, -1);
    expect([row, cells.length]).toEqual([row, 5]);
    const tests = [...(cells.at(-1) ?? '').matchAll(/`(test\/[^`]+)`/g)].map(([, file = '']) => file);
    expect([row, tests.length > 0]).toEqual([row, true]);
    expect(tests.filter((file) => !existsSync(join(root, file)))).toEqual([]);
  }
});
