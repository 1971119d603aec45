import { writeAll } from './stream-io.ts';

type Write = (fd: number, bytes: Buffer) => void;

let write: Write = writeAll;

/** What commands print goes there instead, for whoever runs several in one process. */
export function redirectOutput(to: Write): void {
  write = to;
}

/** Writes to stdout at once: `process.stdout` would cost more time to set up than most commands take. */
export const print = (text: string): void => write(1, Buffer.from(text));

/** Writes to stderr at once. */
export const complain = (text: string): void => write(2, Buffer.from(text));
