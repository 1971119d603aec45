import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toError } from '../../../../../lib/zfs/errors.ts';
import { ZpsendError } from '../../../../../schemas/errors.ts';
import { namingUsers, usersOf } from '../../../../../services/receiver/conflicts/mount-users.ts';
import { mentions } from '../../../../support/mentions.ts';

let proc = '';
/** A process with its folder and the files that it has open. */
function runs(pid: number, name: string, cwd: string, ...files: string[]): void {
  mkdirSync(join(proc, `${pid}`, 'fd'), { recursive: true });
  writeFileSync(join(proc, `${pid}`, 'comm'), `${name}\n`);
  symlinkSync(cwd, join(proc, `${pid}`, 'cwd'));
  for (const [fd, file] of files.entries()) symlinkSync(file, join(proc, `${pid}`, 'fd', `${fd}`));
}
beforeAll(() => {
  proc = mkdtempSync(join(tmpdir(), 'zpsend-proc-'));
  runs(11, 'bash', '/tank/a');
  runs(12, 'vim', '/root', '/dev/null', '/tank/a/deep/file');
  runs(13, 'sh', '/tank/ab', '/tank/ab/file');
  runs(14, 'cron', '/');
  mkdirSync(join(proc, '15'));
});
afterAll(() => rmSync(proc, { recursive: true }));

describe('the users of a mount', () => {
  test('are the processes with their working directory or an open file in it', async () => {
    expect((await usersOf('/tank/a', proc)).sort()).toEqual(['bash (11)', 'vim (12)']);
    expect(await usersOf('/tank/a/deep', proc)).toEqual(['vim (12)']);
    expect(await usersOf('/tank/none', proc)).toEqual([]);
  });

  test('are unknown if there is no /proc', async () => {
    expect(await usersOf('/tank/a', join(proc, 'none'))).toEqual([]);
  });
});

describe('a target that cannot be unmounted', () => {
  const busy = (stderr: string) =>
    toError({ doing: 'renaming tank/a to tank/b', host: 'smos-00', stderr, exitCode: 1 });
  const mounted = busy("cannot unmount '/tank/a': pool or dataset is busy\n");

  test('edge case 34: is BUSY with its mount point, its users, and the next step', async () => {
    const error = await namingUsers(mounted, async (path) => [`bash (7) in ${path}`]);
    expect(error.toBody()).toMatchObject({
      code: 'BUSY',
      retryable: true,
      message: mentions('tank/a', 'tank/b', 'smos-00', 'bash (7)', '/tank/a'),
      details: { mountPoint: '/tank/a', users: ['bash (7) in /tank/a'] },
    });
  });

  test('has a command that finds its users if they cannot be read', async () => {
    expect((await namingUsers(mounted, async () => [])).message).toEqual(mentions('fuser -vm "/tank/a"'));
  });

  test('does not change other failures', async () => {
    const asked: string[] = [];
    const users = async (path: string) => [path, ...asked.splice(0)];
    for (const error of [
      busy("cannot rename 'tank/a': dataset is busy\n"),
      busy("cannot rename 'tank/a': permission denied\n"),
      new ZpsendError('TIMEOUT', 'late'),
    ]) {
      expect(await namingUsers(error, users)).toBe(error);
    }
  });
});
