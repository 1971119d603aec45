import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { openAtomicFile } from '../../../../../cli/commands/store/atomic-file.ts';
import { mentions } from '../../../../support/mentions.ts';

const links = vi.hoisted(() => ({ refusal: undefined as string | undefined }));

/** A filesystem of this machine may have hard links or not. */
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  const link: typeof real.link = async (...names) => {
    if (links.refusal !== undefined) throw Object.assign(new Error(links.refusal), { code: links.refusal });
    return real.link(...names);
  };
  return { ...real, link };
});

beforeEach(() => {
  links.refusal = undefined;
});

async function useFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'whole-file-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

async function write(path: string, text: string) {
  const file = await openAtomicFile(path);
  file.to.end(text);
  await finished(file.to);
  return file;
}

test.each([undefined, 'EPERM', 'EOPNOTSUPP'])(
  'a file gets its name once it is complete, and never replaces another (links: %s)',
  async (refusal) => {
    links.refusal = refusal;
    const folder = await useFolder();
    const path = join(folder, 'stream');
    const file = await write(path, 'whole');
    expect(await readdir(folder)).not.toContain('stream');
    await file.keep();
    expect([await readdir(folder), await readFile(path, 'utf8')]).toEqual([['stream'], 'whole']);

    const late = join(folder, 'late');
    const second = await write(late, 'second');
    await writeFile(late, 'first');
    await expect(second.keep()).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    expect([await readdir(folder), await readFile(late, 'utf8')]).toEqual([['late', 'stream'], 'first']);
  },
);

test('the error names a missing folder', async () => {
  const folder = join(await useFolder(), 'nowhere');
  await expect(openAtomicFile(join(folder, 'stream'))).rejects.toMatchObject({
    code: 'BAD_REQUEST',
    message: mentions(folder),
  });
});
