import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isAlive, processStamp } from './processes.ts';
import { stateFolder } from './state.ts';

/** Marks snapshots as being sent while `work` runs, so that another process cannot destroy them. */
export function whileSending(snapshots: readonly string[], work: () => void): void {
  const file = `${stateFolder()}/${process.pid}.sending`;
  writeFileSync(file, JSON.stringify({ process: processStamp(), snapshots }));
  try {
    work();
  } finally {
    rmSync(file, { force: true });
  }
}

/** Does a running `zfs send` read the snapshot of that full name, or use it as its base? */
export function isBeingSent(snapshot: string): boolean {
  const folder = stateFolder();
  return readdirSync(folder).some((file) => {
    if (!file.endsWith('.sending')) return false;
    try {
      const sending = JSON.parse(readFileSync(`${folder}/${file}`, 'utf8')) as { process: string; snapshots: string[] };
      return sending.snapshots.includes(snapshot) && isAlive(sending.process);
    } catch {
      // it has ended meanwhile
      return false;
    }
  });
}
