import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createZfs } from '../../lib/zfs/zfs.ts';
import { isReal, lab, MIB } from './zfs-under-test.ts';

const z = lab(256 * MIB);
const folder = mkdtempSync(join(tmpdir(), 'zfs-redact-'));
const keyfile = `file://${folder}/key`;
const key = ['-o', 'encryption=on', '-o', 'keyformat=passphrase', '-o', `keylocation=${keyfile}`];
const fine = { exit: 0, stdout: '', stderr: '' };
const [plain, secret] = [`${z.source}/plain`, `${z.source}/secret`];
const zfs = createZfs({ host: 'here', env: z.env });

/** Removes the redacted blocks, which the clone lacks. The simulator takes any clone for one that lacks some. */
function empty(clone: string): void {
  if (!isReal) return;
  const folder = z.value('mountpoint', clone);
  for (const name of readdirSync(folder)) rmSync(join(folder, name));
}

/** A dataset with a redaction bookmark of its first snapshot, an ordinary one made of that, and a second snapshot. */
beforeAll(() => {
  writeFileSync(join(folder, 'key'), '12345678\n');
  z.ok('create', plain);
  z.ok('create', ...key, secret);
  for (const name of [plain, secret]) {
    z.write(name, 300_000);
    z.ok('snapshot', `${name}@1`);
    z.ok('clone', `${name}@1`, `${name}-without`);
    empty(`${name}-without`);
    z.ok('snapshot', `${name}-without@1`);
    z.ok('redact', `${name}@1`, 'redaction', `${name}-without@1`);
    z.ok('bookmark', `${name}#redaction`, `${name}#ordinary`);
    z.write(name, 300_000);
    z.ok('snapshot', `${name}@2`);
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

test('a redaction bookmark has the guid of its snapshot, and a listing distinguishes it from an ordinary one', async () => {
  for (const name of [plain, secret]) {
    const [dataset] = await zfs.list({ dataset: name });
    const guid = z.value('guid', `${name}@1`);
    expect(dataset?.bookmarks.toSorted((a, b) => (a.name < b.name ? -1 : 1))).toMatchObject([
      { name: 'ordinary', guid },
      { name: 'redaction', guid, redacted: true },
    ]);
    expect(dataset?.bookmarks.filter(({ redacted }) => redacted)).toHaveLength(1);
    expect(dataset?.snapshots.filter(({ redacted }) => redacted)).toEqual([]);
  }
});

test('without the key a raw stream from a redaction bookmark fails, and one from an ordinary bookmark of it arrives (openzfs#18491)', () => {
  const to = `${z.target}/secret`;
  expect(z.feed(z.stream('-w', `${secret}@1`), 'receive', '-u', to)).toEqual(fine);
  for (const name of [`${secret}-without`, secret]) z.zfs('unmount', name);
  z.ok('unload-key', secret);
  expect(z.zfs('send', '-w', '-i', `${secret}#redaction`, `${secret}@2`)).toMatchObject({
    exit: 1,
    stderr: `warning: cannot send '${secret}@2': dataset key must be loaded\n`,
  });
  expect(z.feed(z.stream('-w', '-i', `${secret}#ordinary`, `${secret}@2`), 'receive', '-u', to)).toEqual(fine);
  z.ok('load-key', secret);
});

// the simulator has no redacted streams
test.runIf(isReal)('a replica received redacted', async () => {
  const to = `${z.target}/redacted`;
  const on = `${z.target}/sent-on`;
  expect(z.feed(z.stream('--redact', 'redaction', `${plain}@1`), 'receive', '-u', to)).toEqual(fine);
  expect((await zfs.list({ dataset: to }))[0]?.snapshots).toMatchObject([{ name: '1', redacted: true }]);
  // an ordinary increment is refused
  const { exit, stderr } = z.feed(z.stream('-i', '@1', `${plain}@2`), 'receive', '-s', '-u', to);
  expect([exit, stderr]).toEqual([
    1,
    'cannot receive incremental stream: kernel modules must be upgraded to receive this stream.\n',
  ]);
  // sent on it does not tell any more that blocks are missing
  expect(z.feed(z.stream(`${to}@1`), 'receive', '-u', on)).toEqual(fine);
  expect((await zfs.list({ dataset: on }))[0]?.snapshots.filter(({ redacted }) => redacted)).toEqual([]);
  expect(z.digest(`${on}@1`)).not.toBe(z.digest(`${plain}@1`));
});
