import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { ZpsendError } from '../../../schemas/errors.ts';

/** Processes that a message names. */
const mostNamed = 3;

/** The mount point that ZFS could not unmount, in its error message. */
const mountPointIn = (stderr: unknown): string | undefined =>
  typeof stderr === 'string' ? /^cannot unmount '(\/.*)': /m.exec(stderr)?.[1] : undefined;

/**
 * Adds the processes that use a mount to the error of `zfs`. Other errors are returned unchanged.
 * @param users finds them; see `usersOf`
 */
export async function namingUsers(thrown: unknown, users: typeof usersOf = usersOf): Promise<ZpsendError> {
  const error = ZpsendError.from(thrown);
  const at = error.code === 'BUSY' ? mountPointIn(error.details?.stderr) : undefined;
  if (at === undefined) return error;
  const found = await users(at);
  const who = found.length > 0 ? `in use by ${found.join(', ')}` : `in use (fuser -vm "${at}" lists the processes)`;
  const what = error.message.split('; ', 1)[0] ?? '';
  return new ZpsendError('BUSY', `${what}; it is ${who}: end those processes, or leave that folder`, {
    ...error.details,
    mountPoint: at,
    users: found,
  });
}

/**
 * Processes whose working directory or open files lie at or below a path, as `name (pid)`, at most three, as far as this user may see
 * them. None where there is no /proc of Linux.
 */
export async function usersOf(path: string, proc = '/proc'): Promise<string[]> {
  const found: string[] = [];
  const pids = (await readdir(proc).catch(() => [])).filter((name) => /^\d+$/.test(name));
  for (const pid of pids) {
    if (!(await uses(join(proc, pid), path))) continue;
    const name = await readFile(join(proc, pid, 'comm'), 'utf8').catch(() => '?');
    found.push(`${name.trim()} (${pid})`);
    if (found.length >= mostNamed) break;
  }
  return found;
}

async function uses(folder: string, path: string): Promise<boolean> {
  const files = await readdir(join(folder, 'fd')).catch(() => []);
  const links = [
    ...['cwd', 'root', 'exe'].map((name) => join(folder, name)),
    ...files.map((fd) => join(folder, 'fd', fd)),
  ];
  for (const link of links) {
    const at = await readlink(link).catch(() => '');
    if (at === path || at.startsWith(`${path}/`)) return true;
  }
  return false;
}
