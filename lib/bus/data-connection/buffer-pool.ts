/** Memory that several reads share. It may be read into again when everything in it was let go. */
export interface PoolBuffer {
  readonly bytes: Buffer;
  /** Keeps it for one more holder. */
  retain(): void;
  release(): void;
}

export interface PooledReader {
  /** Where the next read goes; a large part of a pool buffer. */
  room(): Buffer;
  /** `length` bytes were read to the beginning of the last room. */
  filled(length: number): { bytes: Buffer; poolBuffer: PoolBuffer };
  /** So much memory is held that what is kept should be copied out of its pool buffer, which frees the rest of it. */
  readonly underPressure: boolean;
}

export interface BufferPoolOptions {
  /** Of one pool buffer, in bytes. */
  readonly size: number;
  /** How many may be held before the reader is under pressure. */
  readonly most: number;
}

/**
 * Socket reads into memory that is used again, instead of a fresh buffer for each.
 * Small reads fill a pool buffer one after another, so that a held byte never pins more than its share by much.
 */
export function openPooledReader({ size, most }: BufferPoolOptions): PooledReader {
  const free: PoolBuffer[] = [];
  let held = 0;

  function open(): PoolBuffer {
    let holders = 0;
    const poolBuffer: PoolBuffer = {
      bytes: Buffer.allocUnsafeSlow(size),
      retain() {
        holders += 1;
      },
      release() {
        holders -= 1;
        if (holders > 0) return;
        held -= 1;
        if (free.length < most) free.push(poolBuffer);
      },
    };
    return poolBuffer;
  }

  function take(): PoolBuffer {
    const poolBuffer = free.pop() ?? open();
    held += 1;
    // for the reader itself, until the pool buffer is full
    poolBuffer.retain();
    return poolBuffer;
  }

  let current = take();
  let used = 0;
  return {
    room() {
      if (size - used < size / 4) {
        current.release();
        current = take();
        used = 0;
      }
      return current.bytes.subarray(used);
    },
    filled(length) {
      const bytes = current.bytes.subarray(used, used + length);
      used += length;
      return { bytes, poolBuffer: current };
    },
    get underPressure() {
      return held > most;
    },
  };
}
