import { createWriteStream } from 'node:fs';
import { link, lstat, open, rename, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { ZpsendError } from '../../../schemas/errors.ts';

/** What is written to a file under its name only when all of it is there. */
export interface WholeFile {
  readonly to: Writable;
  /** All is written: the file gets its name. @throws ZpsendError BAD_REQUEST where somebody else has taken that meanwhile */
  keep(): Promise<void>;
  /** Removes what there is of it. */
  drop(): Promise<void>;
}

/** Whatever becomes of it, a file that is there already stays as it is. Devices and named pipes are written to as they are. */
export async function openWholeFile(path: string): Promise<WholeFile> {
  const there = await stat(path).catch(() => undefined);
  if (there && !there.isFile() && !there.isDirectory()) {
    return { to: createWriteStream(path, { flags: 'a' }), keep: async () => {}, drop: async () => {} };
  }
  if (there || (await lstat(path).catch(() => undefined))) throw taken(path);
  const part = `${path}.${process.pid}.part`;
  const opened = await open(part, 'wx').catch((error) => {
    if (codeOf(error) !== 'ENOENT') throw error;
    throw new ZpsendError('BAD_REQUEST', `${path} cannot be written: there is no folder ${dirname(path)}`);
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
        throw codeOf(error) === 'EEXIST' ? taken(path) : error;
      }
    },
  };
}

/** A link takes nobody's name; some filesystems have none. */
async function name(part: string, path: string): Promise<void> {
  try {
    await link(part, path);
  } catch (error) {
    if (!linkless.has(codeOf(error) ?? '')) throw error;
    if (await lstat(path).catch(() => undefined)) throw taken(path);
    await rename(part, path);
    return;
  }
  await unlink(part).catch(() => {});
}

const linkless: ReadonlySet<string> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);

const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error ? String(error.code) : undefined;

const taken = (path: string): ZpsendError =>
  new ZpsendError('BAD_REQUEST', `${path} is there already, and is not overwritten`);
