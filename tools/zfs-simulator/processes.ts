import { existsSync, readFileSync } from 'node:fs';

/** When a process began, in kernel ticks since boot, so that a pid used again is not taken for the old process. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // a zombie has ended, though its parent has not yet asked how
    return fields[0] === 'Z' ? 'ended' : (fields[19] ?? '');
  } catch {
    return existsSync('/proc/self') ? 'ended' : '';
  }
}

let own: string | undefined;

/** Names this process, for lock files and receipts. */
export function processStamp(): string {
  own ??= `${process.pid} ${startOf(process.pid)}`;
  return own;
}

/** Whether the process of a stamp still runs. */
export function isAlive(stamp: string): boolean {
  const [pid, start] = stamp.split(' ');
  try {
    process.kill(Number(pid), 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  return startOf(Number(pid)) === start;
}

const waiting = new Int32Array(new SharedArrayBuffer(4));

/** Blocks this process for so many milliseconds. */
export function sleep(milliseconds: number): void {
  Atomics.wait(waiting, 0, 0, milliseconds);
}
