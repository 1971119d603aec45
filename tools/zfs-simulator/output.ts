import { writeAll } from './stream-io.ts';

type Write = (fd: number, bytes: Buffer) => void;

let write: Write = writeAll;

/** Redirects the output of commands, for a process that runs several of them. */
export function redirectOutput(to: Write): void {
  write = to;
}

/** Writes to stdout synchronously: setting up `process.stdout` takes longer than most commands. */
export const print = (text: string): void => write(1, Buffer.from(text));

/** Writes to stderr synchronously. */
export const complain = (text: string): void => write(2, Buffer.from(text));
