import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { codes } from '../../../schemas/error-codes.ts';
import { type Code, reasonsOf } from '../../../schemas/errors.ts';
import { errorReference } from '../../../tools/error-reference.ts';

test('docs/reference/errors.md has every code with its reasons, and is current', () => {
  const page = errorReference();
  for (const code of Object.keys(codes) as Code[]) {
    expect(page).toContain(`\n## ${code}\n`);
    for (const reason of Object.keys(reasonsOf(code))) expect(page).toContain(`- \`${reason}\`: `);
  }
  expect(readFileSync(resolve(import.meta.dirname, '../../../docs/reference/errors.md'), 'utf8')).toBe(page);
});
