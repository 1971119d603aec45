/** Memory that several reads share. It is reused when all its holders have released it. */
export interface PoolBuffer {
  readonly bytes: Buffer;
  /** Keeps it for one more holder. */
  retain(): void;
  release(): void;
}

export interface PooledReader {
  /** The memory for the next read: the free part of a pool buffer, at least a quarter of it. */
  room(): Buffer;
  /** `length` bytes were read to the beginning of the last room. */
  filled(length: number): { bytes: Buffer; poolBuffer: PoolBuffer };
  /** So many pool buffers are retained that holders should copy their bytes and release them. */
  readonly underPressure: boolean;
}

export interface BufferPoolOptions {
  /** Bytes of one pool buffer. */
  readonly size: number;
  /** The most pool buffers in use before the reader is under pressure. */
  readonly most: number;
}

/**
 * Reads from a socket into reused memory, instead of a new buffer for each read.
 * Small reads fill one pool buffer after another, so that a retained byte keeps little memory besides its own read.
 */
export function openPooledReader({ size, most }: BufferPoolOptions): PooledReader {
  const free: PoolBuffer[] = [];
  let inUse = 0;

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
        inUse -= 1;
        if (free.length < most) free.push(poolBuffer);
      },
    };
    return poolBuffer;
  }

  function take(): PoolBuffer {
    const poolBuffer = free.pop() ?? open();
    inUse += 1;
    // the reader itself is a holder until the pool buffer is full
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
      return inUse > most;
    },
  };
}
