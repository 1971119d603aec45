/** Memory that several reads share. It may be read into again when everything in it was let go. */
export interface Slab {
  readonly bytes: Buffer;
  /** Keeps it for one more holder. */
  retain(): void;
  release(): void;
}

export interface SlabReader {
  /** Where the next read goes; a large part of a slab. */
  room(): Buffer;
  /** `length` bytes were read to the beginning of the last room. */
  filled(length: number): { bytes: Buffer; slab: Slab };
  /** So much memory is held that what is kept should be copied out of its slab, which frees the rest of it. */
  readonly crowded: boolean;
}

export interface SlabOptions {
  /** Of one slab, in bytes. */
  readonly size: number;
  /** How many may be held before the reader is crowded. */
  readonly most: number;
}

/**
 * Socket reads into memory that is used again, instead of a fresh buffer for each.
 * Small reads fill a slab one after another, so that a held byte never pins more than its share by much.
 */
export function openSlabReader({ size, most }: SlabOptions): SlabReader {
  const free: Slab[] = [];
  let held = 0;

  function open(): Slab {
    let holders = 0;
    const slab: Slab = {
      bytes: Buffer.allocUnsafeSlow(size),
      retain() {
        holders += 1;
      },
      release() {
        holders -= 1;
        if (holders > 0) return;
        held -= 1;
        if (free.length < most) free.push(slab);
      },
    };
    return slab;
  }

  function take(): Slab {
    const slab = free.pop() ?? open();
    held += 1;
    // for the reader itself, until the slab is full
    slab.retain();
    return slab;
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
      return { bytes, slab: current };
    },
    get crowded() {
      return held > most;
    },
  };
}
