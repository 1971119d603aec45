import { appendFileSync } from 'node:fs';

export interface LoggedProcess {
  readonly pid: number;
  readonly argv: readonly string[];
  /** Its start, in milliseconds since the epoch. */
  readonly at: number;
  /** Its duration, in milliseconds. */
  readonly ms: number;
  readonly exit: number;
}

/** Adds a line to the file of ZFS_SIM_LOG, if that is set. */
export function logProcess(line: LoggedProcess): void {
  const file = process.env.ZFS_SIM_LOG;
  if (file !== undefined && file !== '') appendFileSync(file, `${JSON.stringify(line)}\n`);
}
