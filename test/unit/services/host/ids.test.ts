import { expect, test } from 'vitest';
import { newId } from '../../../../services/host/ids.ts';

test('an id is one token of a subject, and never the same twice', () => {
  const ids = Array.from({ length: 1000 }, () => newId());
  for (const id of ids) expect(id).toMatch(/^[0-9a-z]{10}$/);
  expect(new Set(ids).size).toBe(1000);
});
