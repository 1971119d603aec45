import { open, readFile, rm, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Runs `work` while no other process does, told apart by a lock file that holds the owner's pid. Callers that had to wait
 * should look again for what they wanted before they make it. The lock of a process that died is taken over.
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
  // between its creation and the write of the pid a lock is empty for a moment
  if (!pid) return Date.now() - ((await stat(lock).catch(() => undefined))?.mtimeMs ?? 0) < 5000;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
};
