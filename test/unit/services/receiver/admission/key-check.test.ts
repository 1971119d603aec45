import { expect, test } from 'vitest';
import { keyOf } from '../../../../../lib/zfs/key-columns.ts';
import type { InspectedName } from '../../../../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../../../../schemas/errors.ts';
import type { KeyWrapping } from '../../../../../schemas/inventory.ts';
import { checkKey } from '../../../../../services/receiver/admission/key-check.ts';
import { checkKeyUnchanged } from '../../../../../services/sender/transfer/key-unchanged.ts';

const salted = (salt: string): KeyWrapping => ({ format: 'passphrase', salt, iterations: 350_000 });
const [old, now] = [salted('11'), salted('22')];
const hex: KeyWrapping = { format: 'hex' };
const seen = (name: string, root: string, wrapping: KeyWrapping, origin?: string): InspectedName => ({
  ...{ name, type: 'filesystem', guid: '1', createtxg: '1', written: 0, userrefs: 0 },
  ...{ encryptionRoot: root, wrapping, ...(origin !== undefined && { origin }) },
});
const looker = (...all: InspectedName[]) => ({
  inspect: async (names: string[]) => all.filter(({ name }) => names.includes(name)),
});
const start = {
  raw: true,
  from: { guid: '1' },
  targetDataset: 'p/r/a',
  sourceHost: 'src',
  to: { name: 't/r/a@2', guid: '2' },
};

/** The code that it is refused with. */
const refusal = (work: Promise<void>): Promise<string | undefined> =>
  work.then(
    () => undefined,
    (thrown) => ZpsendError.from(thrown).code,
  );
const checked = (
  wrapping: KeyWrapping,
  there: InspectedName[],
  more: Partial<typeof start> & { encryptionRoot?: string; replaces?: KeyWrapping; origin?: string } = {},
) => refusal(checkKey(looker(...there), { ...start, wrapping, ...more }, 'dst', there));

test('edge case 26: a receiver refuses a stream that would lock its dataset out, however old the plan is', async () => {
  const there = [seen('p/r', 'p/r', old), seen('p/r/a', 'p/r', old)];
  expect(await checked(old, there)).toBeUndefined();
  expect(await checked(now, there)).toBe('KEY_MISMATCH');
  expect(await checked(now, there, { raw: false })).toBeUndefined();
  expect(await checked(now, [seen('p/r/a', 'p/r/a', old)])).toBeUndefined();
  expect(await checked(now, [])).toBeUndefined();
});

test('an increment with an unknown key is admitted if its plan was for the same root', async () => {
  const there = [seen('p/r', 'p/r', hex), seen('p/r/a', 'p/r', hex)];
  expect(await checked(hex, there)).toBe('KEY_MISMATCH');
  expect(await checked(hex, there, { encryptionRoot: 'p/r' })).toBeUndefined();
  expect(await checked(hex, there, { encryptionRoot: 'p/other' })).toBe('KEY_MISMATCH');
  // another format is another key
  expect(await checked(now, there, { encryptionRoot: 'p/r' })).toBe('KEY_MISMATCH');
});

test('a clone that shares the key of the root passes its new key on to it', async () => {
  const there = [seen('p/r', 'p/r', old), seen('p/r/a', 'p/r', old, 'p/b@1'), seen('p/b', 'p/r', old, 'p/r@1')];
  expect(await checked(now, there)).toBeUndefined();
  const other = [seen('p/r', 'p/r', old), seen('p/r/a', 'p/r', old, 'p/b@1'), seen('p/b', 'p/r', old)];
  expect(await checked(now, other)).toBe('KEY_MISMATCH');
});

test('edge case 26: a stored stream does not undo a later change-key on the target', async () => {
  const own = (wrapping: KeyWrapping) => [seen('p/r/a', 'p/r/a', wrapping)];
  expect(await checked(old, own(old), { replaces: old })).toBeUndefined();
  expect(await checked(old, own(now), { replaces: old })).toBe('KEY_MISMATCH');
  expect(await checked(old, own(hex), { replaces: old })).toBe('KEY_MISMATCH');
  expect(await checked(hex, own(hex), { replaces: hex })).toBeUndefined();
  // a clone shares the key of its origin
  const clone = { dataset: 'p/c', origin: 'p/r/a@1', replaces: old };
  expect(await checked(old, own(old), clone)).toBeUndefined();
  expect(await checked(old, own(now), clone)).toBe('KEY_MISMATCH');
});

test('edge case 26: a change-key between a plan and its send is found before anything is sent', async () => {
  const to = { name: 't/r/a@2', guid: '2' };
  const after = (wrapping: KeyWrapping, planned: KeyWrapping | undefined) =>
    refusal(checkKeyUnchanged(looker(seen('t/r/a', 't/r', wrapping)), { to, ...(planned && { wrapping: planned }) }));
  expect(await after(old, old)).toBeUndefined();
  expect(await after(now, old)).toBe('KEY_MISMATCH');
  expect(await after(hex, old)).toBe('KEY_MISMATCH');
  expect(await after(now, undefined)).toBeUndefined();
  expect(await after(hex, hex)).toBeUndefined();
  expect(await after(now, hex)).toBe('KEY_MISMATCH');
  expect(await after({ format: 'raw' }, hex)).toBe('KEY_MISMATCH');
  expect(await refusal(checkKeyUnchanged(looker(), { to, wrapping: old }))).toBeUndefined();
});

test('the columns of keys are parsed from zfs’s output, and missing values are left out', () => {
  const read = (fields: Record<string, string>) => keyOf((column) => fields[column]);
  const root = { keystatus: 'available', encryptionroot: 'p/r', keyformat: 'passphrase' };
  const known = { keystatus: 'available', encryptionRoot: 'p/r' };
  expect(read({ ...root, pbkdf2salt: '11687992906563193823', pbkdf2iters: '350000' })).toEqual({
    ...known,
    wrapping: salted('11687992906563193823'),
  });
  expect(read(root)).toEqual({ ...known, wrapping: { format: 'passphrase' } });
  expect(read({ ...root, keyformat: 'hex', pbkdf2salt: '0', pbkdf2iters: '0' })).toEqual({ ...known, wrapping: hex });
  expect(read({ keystatus: '-', encryptionroot: '-', keyformat: 'none', pbkdf2salt: '0' })).toEqual({});
  expect(read({})).toEqual({});
});
