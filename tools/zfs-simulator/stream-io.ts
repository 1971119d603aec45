import { readSync, writeSync } from 'node:fs';
import { sleep } from './processes.ts';

/** Writes all bytes to a file descriptor; waits if a non-blocking one is full. */
export function writeAll(fd: number, buffer: Buffer, length = buffer.length): void {
  let done = 0;
  while (done < length) {
    try {
      done += writeSync(fd, buffer, done, length - done);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      sleep(1);
    }
  }
}

function readSome(fd: number, buffer: Buffer, at: number, most: number): number {
  for (;;) {
    try {
      return readSync(fd, buffer, at, most, null);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EOF' || code === 'ECONNRESET') return 0;
      if (code !== 'EAGAIN') throw error;
      sleep(1);
    }
  }
}

/** Reads a stream in pieces of known size into one buffer. */
export class StreamReader {
  readonly buffer: Buffer;
  readonly #fd: number;
  readonly #passed: (bytes: number) => void;
  readonly #piece: number;
  #start = 0;
  #end = 0;

  /** `piece` limits one read; `passed` is called after every read and may wait. */
  constructor(fd: number, capacity: number, piece: number, passed: (bytes: number) => void) {
    this.buffer = Buffer.allocUnsafe(capacity);
    this.#fd = fd;
    this.#piece = piece;
    this.#passed = passed;
  }

  /** The position of the next `length` bytes in `buffer`, or undefined if the stream ends before; reads `ahead` more bytes. */
  take(length: number, ahead = 0): number | undefined {
    if (this.#start + length + ahead > this.buffer.length) {
      this.buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    while (this.#end - this.#start < length) {
      const wanted = length + ahead - (this.#end - this.#start);
      const read = readSome(this.#fd, this.buffer, this.#end, Math.min(wanted, this.#piece));
      if (read === 0) return undefined;
      this.#end += read;
      this.#passed(read);
    }
    const at = this.#start;
    this.#start += length;
    return at;
  }

  /** A copy of the next `length` bytes; undefined if the stream ends before. */
  takeCopy(length: number): Buffer | undefined {
    const whole = Buffer.allocUnsafe(length);
    for (let done = 0; done < length; ) {
      const part = Math.min(length - done, this.buffer.length >> 1);
      const at = this.take(part);
      if (at === undefined) return undefined;
      this.buffer.copy(whole, done, at, at + part);
      done += part;
    }
    return whole;
  }

  /** Reads to the end and discards. */
  drain(): void {
    for (;;) {
      const read = readSome(this.#fd, this.buffer, 0, Math.min(this.buffer.length, this.#piece));
      if (read === 0) return;
      this.#passed(read);
    }
  }
}
