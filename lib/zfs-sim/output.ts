import { writeAll } from './stream-io.ts';

/** Writes to stdout at once: `process.stdout` would cost more time to set up than most commands take. */
export const print = (text: string): void => writeAll(1, Buffer.from(text));

/** Writes to stderr at once. */
export const complain = (text: string): void => writeAll(2, Buffer.from(text));
