import { open, readFile, rm, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Runs `work` while no other process does, under a lock file with the owner's pid. After a wait, the caller should check again
 * whether the work is still needed. Takes over the lock of a process that died.
 */
export const whileLocked = async <T>(lock: string, work: () => Promise<T>): Promise<T> => {
  while (!(await take(lock))) {
    if (!(await ownerLives(lock))) await rm(lock, { force: true });
    await sleep(100);
  }
  try {
    return await work();
  } finally {
    await rm(lock, { force: true });
  }
};

const take = async (lock: string): Promise<boolean> => {
  try {
    const file = await open(lock, 'wx');
    await file.writeFile(String(process.pid));
    await file.close();
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
};

const ownerLives = async (lock: string): Promise<boolean> => {
  const pid = Number(await readFile(lock, 'utf8').catch(() => ''));
  // a lock file is empty until its owner has written the pid
  if (!pid) return Date.now() - ((await stat(lock).catch(() => undefined))?.mtimeMs ?? 0) < 5000;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
};
