import { createWriteStream } from 'node:fs';
import { link, lstat, open, rename, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { ZpsendError } from '../../../schemas/errors.ts';

/** A file that gets its name once it is complete. */
export interface AtomicFile {
  readonly to: Writable;
  /** Gives the complete file its name. @throws ZpsendError BAD_REQUEST if that file exists by now */
  keep(): Promise<void>;
  /** Removes the incomplete file. */
  drop(): Promise<void>;
}

/** Never changes an existing file. Devices and named pipes are written directly. */
export async function openAtomicFile(path: string): Promise<AtomicFile> {
  const existing = await stat(path).catch(() => undefined);
  if (existing && !existing.isFile() && !existing.isDirectory()) {
    return { to: createWriteStream(path, { flags: 'a' }), keep: async () => {}, drop: async () => {} };
  }
  if (existing || (await lstat(path).catch(() => undefined))) throw exists(path);
  const part = `${path}.${process.pid}.part`;
  const opened = await open(part, 'wx').catch((error) => {
    if (codeOf(error) !== 'ENOENT') throw error;
    throw new ZpsendError('BAD_REQUEST', `${path} cannot be written: the folder ${dirname(path)} does not exist`);
  });
  const to = opened.createWriteStream();
  const drop = async (): Promise<void> => {
    to.destroy();
    await finished(to).catch(() => {});
    await unlink(part).catch(() => {});
  };
  return {
    to,
    drop,
    async keep() {
      try {
        await name(part, path);
      } catch (error) {
        await drop();
        throw codeOf(error) === 'EEXIST' ? exists(path) : error;
      }
    },
  };
}

/** A link never replaces a file; some filesystems have no links. */
async function name(part: string, path: string): Promise<void> {
  try {
    await link(part, path);
  } catch (error) {
    if (!withoutLinks.has(codeOf(error) ?? '')) throw error;
    if (await lstat(path).catch(() => undefined)) throw exists(path);
    await rename(part, path);
    return;
  }
  await unlink(part).catch(() => {});
}

const withoutLinks: ReadonlySet<string> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);

const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error ? String(error.code) : undefined;

const exists = (path: string): ZpsendError =>
  new ZpsendError('BAD_REQUEST', `${path} exists and is not overwritten; name another file`);
