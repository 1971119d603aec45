import { appendFileSync } from 'node:fs';

export interface LoggedProcess {
  readonly pid: number;
  readonly argv: readonly string[];
  /** When it began, in milliseconds since the epoch. */
  readonly at: number;
  /** How long it ran. */
  readonly ms: number;
  readonly exit: number;
}

/** Adds a line to the file that ZFS_SIM_LOG names, where it does. */
export function logProcess(line: LoggedProcess): void {
  const file = process.env.ZFS_SIM_LOG;
  if (file !== undefined && file !== '') appendFileSync(file, `${JSON.stringify(line)}\n`);
}
