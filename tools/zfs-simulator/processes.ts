import { existsSync, readFileSync } from 'node:fs';

/** The start of a process, in kernel ticks since boot, which distinguishes it from an old process with the same pid. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // a zombie has ended, but its parent has not reaped it yet
    return fields[0] === 'Z' ? 'ended' : (fields[19] ?? '');
  } catch {
    return existsSync('/proc/self') ? 'ended' : '';
  }
}

let own: string | undefined;

/** Identifies this process in lock files and receipts. */
export function processStamp(): string {
  own ??= `${process.pid} ${startOf(process.pid)}`;
  return own;
}

/** Does the process of a stamp still run? */
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

/** Blocks this process, in milliseconds. */
export function sleep(milliseconds: number): void {
  Atomics.wait(waiting, 0, 0, milliseconds);
}
