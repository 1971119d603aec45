import type { Hash } from 'node:crypto';

/** Zeros are skipped in units of this many bytes; the size of every ZFS block is a multiple of it. */
const sectorBytes = 512;
const zeros = Buffer.alloc(sectorBytes);

/**
 * Hashes the data of objects independent of zeros and of the division into records. Consecutive data without zeros is one run: its
 * position goes into one hash, and its bytes into another.
 */
export class DataRuns {
  readonly #layout: Hash;
  readonly #data: Hash;
  #run = { object: 0, offset: 0n, end: 0n };
  /** The beginning of an incomplete sector. */
  readonly #sector = Buffer.alloc(sectorBytes);
  #sectorBytes = 0;

  constructor(layout: Hash, data: Hash) {
    this.#layout = layout;
    this.#data = data;
  }

  /** Consumes the pieces of one record's data; `offset` is a multiple of a sector. */
  taker(object: number, offset: bigint, bytes: number): (piece: Buffer) => void {
    let at = offset;
    let left = bytes;
    const sectors = (some: Buffer): void => {
      this.#add(object, at, some);
      at += BigInt(some.length);
    };
    return (piece) => {
      let rest = piece;
      left -= piece.length;
      if (this.#sectorBytes > 0) {
        const taken = rest.copy(this.#sector, this.#sectorBytes);
        this.#sectorBytes += taken;
        rest = rest.subarray(taken);
        if (this.#sectorBytes < sectorBytes && left > 0) return;
        sectors(this.#sector.subarray(0, this.#sectorBytes));
        this.#sectorBytes = 0;
      }
      // the last sector of a record may be shorter
      const whole = left > 0 ? rest.length - (rest.length % sectorBytes) : rest.length;
      sectors(rest.subarray(0, whole));
      this.#sectorBytes = rest.copy(this.#sector, 0, whole);
    };
  }

  /** Hashes the position of the last run. */
  close(): void {
    const { object, offset, end } = this.#run;
    if (end > offset) this.#layout.update(`data ${object} ${offset} ${end}\n`);
    this.#run = { object: 0, offset: 0n, end: 0n };
  }

  /** Adds bytes that start at the beginning of a sector. */
  #add(object: number, offset: bigint, bytes: Buffer): void {
    let from = 0;
    for (let at = 0; at < bytes.length; at += sectorBytes) {
      if (!isZero(bytes, at)) continue;
      this.#extend(object, offset + BigInt(from), bytes.subarray(from, at));
      from = at + sectorBytes;
    }
    this.#extend(object, offset + BigInt(from), bytes.subarray(from));
  }

  #extend(object: number, offset: bigint, bytes: Buffer): void {
    if (bytes.length === 0) return;
    if (object !== this.#run.object || offset !== this.#run.end) {
      this.close();
      this.#run = { object, offset, end: offset };
    }
    this.#run.end += BigInt(bytes.length);
    this.#data.update(bytes);
  }
}

function isZero(bytes: Buffer, at: number): boolean {
  // a cheap test that detects almost all data
  if (bytes[at] !== 0) return false;
  const end = Math.min(at + sectorBytes, bytes.length);
  return bytes.compare(zeros, 0, end - at, at, end) === 0;
}
