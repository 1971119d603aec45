import { closeSync, constants, openSync, readFileSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { isAlive, processStamp } from './processes.ts';
import { type Dataset, type Receipt, stateFolder } from './state.ts';
import type { StreamHead } from './stream-format.ts';

/** The progress of a receive: the first `object` extents, and `offset` bytes of the next one. */
export interface Progress extends StreamHead {
  object: number;
  offset: number;
  /** Received stream bytes, over all attempts. */
  bytes: number;
}

const headFile = (id: string): string => `${stateFolder()}/${id}.receipt`;
const markFile = (id: string): string => `${stateFolder()}/${id}.progress`;

/** Starts the record of a receive: the head of its stream, in a file beside the pool's. */
export function beginReceipt(id: string, progress: Progress): void {
  writeFileSync(`${headFile(id)}.new`, JSON.stringify(progress));
  renameSync(`${headFile(id)}.new`, headFile(id));
}

/** Records the progress in one small write, many times a second. */
export function progressWriter(id: string): {
  mark(object: number, offset: number, bytes: number): void;
  close(): void;
} {
  const fd = openSync(markFile(id), constants.O_WRONLY | constants.O_CREAT);
  return {
    mark: (object, offset, bytes) => {
      writeSync(fd, `${object} ${offset} ${bytes}`.padEnd(60), 0);
    },
    close: () => closeSync(fd),
  };
}

export function readProgress(id: string): Progress | undefined {
  let progress: Progress;
  try {
    progress = JSON.parse(readFileSync(headFile(id), 'utf8')) as Progress;
  } catch {
    return undefined;
  }
  try {
    const [object, offset, bytes] = readFileSync(markFile(id), 'utf8').trim().split(' ').map(Number);
    if (bytes !== undefined) Object.assign(progress, { object, offset, bytes });
  } catch {
    // killed before the first record: no progress
  }
  return progress;
}

export function dropReceipt(receipt: Receipt): void {
  rmSync(headFile(receipt.id), { force: true });
  rmSync(markFile(receipt.id), { force: true });
}

/** Does a receive into the dataset run in another process? */
export const beingReceived = (dataset: Dataset): boolean =>
  dataset.receipt !== undefined && dataset.receipt.process !== processStamp() && isAlive(dataset.receipt.process);
