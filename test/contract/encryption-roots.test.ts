import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createZfs } from '../../lib/zfs/zfs.ts';
import { lab } from './zfs-under-test.ts';

const z = lab(256 * 1024 * 1024);
const folder = mkdtempSync(join(tmpdir(), 'zfs-roots-'));
const keyfile = `file://${folder}/key`;
const hexfile = `file://${folder}/hex`;
const key = ['-o', 'encryption=on', '-o', 'keyformat=passphrase', '-o', `keylocation=${keyfile}`];
const from = `${z.source}/r`;
const to = `${z.target}/r`;
const kids = ['/a', '/b'];
const zfs = createZfs({ host: 'here', env: z.env });
let newest = 1;
/** The target's facts of each dataset. */
const sent = new Map<string, number>();

/** Sends these datasets of the tree on to their newest snapshot, raw. */
const send = (...names: string[]) => {
  for (const name of names) {
    const stream = z.stream('-w', '-i', `@${sent.get(name) ?? 1}`, `${from}${name}@${newest}`);
    sent.set(name, newest);
    expect(z.feed(stream, 'receive', '-s', '-u', `${to}${name}`)).toEqual({ exit: 0, stdout: '', stderr: '' });
  }
};
const snapshot = () => {
  newest += 1;
  z.ok('snapshot', '-r', `${from}@${newest}`);
};
/** The output of `zfs mount` for each on the target once all keys are unloaded and the root's is loaded anew. */
function opened(...names: string[]): string[] {
  z.zfs('unload-key', '-r', to);
  z.ok('load-key', '-L', keyfile, to);
  return names.map((name) => {
    const { stderr } = z.zfs('mount', `${to}${name}`);
    // where it is mounted nothing can be made, a mount point neither
    z.zfs('unmount', `${to}${name}`);
    return stderr;
  });
}
const salts = (root: string, ...names: string[]) => names.map((name) => z.value('pbkdf2salt', `${root}${name}`));
const denied = (name: string) => `cannot mount '${to}${name}': Permission denied\n`;
const all = ['', ...kids, '/clone'];

beforeAll(() => {
  writeFileSync(join(folder, 'key'), '12345678\n');
  writeFileSync(join(folder, 'hex'), `${'0123456789abcdef'.repeat(4)}\n`);
  z.ok('create', ...key, from);
  for (const kid of kids) z.ok('create', `${from}${kid}`);
  z.ok('snapshot', '-r', `${from}@1`);
  z.ok('clone', `${from}/a@1`, `${from}/clone`);
  z.ok('snapshot', `${from}/clone@1`);
  for (const kid of ['', ...kids]) {
    z.feed(z.stream('-w', `${from}${kid}@1`), 'receive', '-s', '-u', '-o', 'readonly=on', `${to}${kid}`);
    z.ok('load-key', '-L', keyfile, `${to}${kid}`);
  }
  const clone = z.stream('-w', '-i', `${from}/a@1`, `${from}/clone@1`);
  z.feed(clone, 'receive', '-s', '-u', '-o', `origin=${to}/a@1`, '-o', 'readonly=on', `${to}/clone`);
  for (const kid of kids) z.ok('change-key', '-i', `${to}${kid}`);
});
afterAll(() => rmSync(folder, { recursive: true }));

test('each dataset has its root’s salt, at the source and on the target', async () => {
  const [salt = ''] = salts(from, '');
  expect(salt).toMatch(/^[1-9][0-9]+$/);
  expect([...salts(from, ...all), ...salts(to, ...all)]).toEqual(Array(8).fill(salt));
  const wrapping = { format: 'passphrase', salt, iterations: 350_000 };
  const [kid] = await zfs.list({ dataset: `${to}/a` });
  expect(kid).toMatchObject({ encryptionRoot: to, wrapping, rootWrapping: wrapping });
  const whole = await zfs.list({ dataset: to, recursive: true });
  expect(whole.map(({ wrapping: own }) => own)).toEqual(Array(4).fill(wrapping));
  expect(whole.some(({ rootWrapping }) => rootWrapping)).toBe(false);
  const [pool] = await zfs.list({ dataset: z.target });
  expect(pool).not.toHaveProperty('wrapping');
  z.ok('create', '-o', 'encryption=on', '-o', 'keyformat=hex', '-o', `keylocation=${hexfile}`, `${z.source}/hex`);
  expect((await zfs.list({ dataset: `${z.source}/hex` }))[0]?.wrapping).toEqual({ format: 'hex' });
});

test('a raw increment of a dataset that inherits its key keeps it readable, if no key was changed', () => {
  snapshot();
  send('/a');
  expect(opened(...all)).toEqual(['', '', '', '']);
});

test('edge case 26: after a change-key at the source a child cannot be unlocked until its root gets that key; then a child without it cannot', () => {
  const [before] = salts(from, '');
  z.ok('change-key', '-o', `keylocation=${keyfile}`, from);
  const [after] = salts(from, '');
  expect(after).not.toBe(before);
  expect(salts(from, ...all)).toEqual(Array(4).fill(after));
  snapshot();
  send('/a');
  expect(salts(to, ...all)).toEqual([before, after, before, after]);
  expect(opened(...all)).toEqual(['', denied('/a'), '', denied('/clone')]);
  send('');
  expect(salts(to, ...all)).toEqual([after, after, before, after]);
  expect(opened(...all)).toEqual(['', '', denied('/b'), '']);
  send('/b');
  expect(opened(...all)).toEqual(['', '', '', '']);
});

test('a raw increment to a clone brings its key to its origin too', () => {
  const [before] = salts(from, '');
  z.ok('change-key', '-o', `keylocation=${keyfile}`, from);
  z.ok('snapshot', `${from}/clone@c`);
  const stream = z.stream('-w', '-i', '@1', `${from}/clone@c`);
  expect(z.feed(stream, 'receive', '-s', '-u', `${to}/clone`).exit).toBe(0);
  const [after] = salts(from, '');
  expect(salts(to, ...all)).toEqual([before, after, before, after]);
  expect(opened('/a', '/clone')).toEqual([denied('/a'), denied('/clone')]);
  snapshot();
  send('', ...kids);
  expect(opened(...all)).toEqual(['', '', '', '']);
});

test('an encryption root receives any raw increment, and the key of the source opens it', () => {
  writeFileSync(join(folder, 'other'), 'something else\n');
  z.ok('change-key', '-o', 'keyformat=passphrase', '-o', `keylocation=file://${folder}/other`, `${to}/b`);
  expect(z.value('encryptionroot', `${to}/b`)).toBe(`${to}/b`);
  z.ok('change-key', '-o', `keylocation=${keyfile}`, from);
  snapshot();
  send('/b');
  expect([salts(to, '/b'), z.value('encryptionroot', `${to}/b`)]).toEqual([salts(from, ''), `${to}/b`]);
  z.zfs('unload-key', '-r', to);
  z.ok('load-key', '-L', keyfile, `${to}/b`);
  expect(z.zfs('mount', `${to}/b`).stderr).toBe('');
  z.zfs('unmount', `${to}/b`);
});
