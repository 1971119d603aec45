import type { StoredObject } from './object-bucket.ts';

export interface SegmentWriterOptions {
  /** Bytes of a segment. */
  readonly size: number;
  /** Segments held in memory at most. */
  readonly most: number;
  /**
   * Stores a segment. The bytes are valid until the result is settled.
   * @param at its index
   * @returns undefined if it is not stored
   */
  readonly put: (at: number, bytes: Buffer) => Promise<StoredObject> | undefined;
  readonly onFailed: (thrown: unknown) => void;
  /** Called after each segment, stored or failed. */
  readonly onPut: () => void;
}

/** Cuts a stream into segments and stores them, several at once. Memory is bounded by the segments in flight (I8). */
export class SegmentWriter {
  /** The stored segments, by index. */
  readonly objects: StoredObject[] = [];
  readonly #options: SegmentWriterOptions;
  readonly #free: Buffer[] = [];
  readonly #puts = new Set<Promise<void>>();
  #filling: Buffer | undefined;
  #used = 0;
  #started = 0;
  #stored = 0;

  constructor(options: SegmentWriterOptions) {
    this.#options = options;
  }

  /** Segments whose upload has started. */
  get started(): number {
    return this.#started;
  }

  /** Bytes that are stored. */
  get stored(): number {
    return this.#stored;
  }

  /** Bytes that may be written now. */
  get room(): number {
    const { size, most } = this.#options;
    const free = most - this.#puts.size - (this.#filling ? 1 : 0);
    return (this.#filling ? size - this.#used : 0) + free * size;
  }

  get isIdle(): boolean {
    return this.#puts.size === 0 && !this.#filling;
  }

  /** Copies bytes into segments, and stores those that are full. */
  write(bytes: Buffer): void {
    const { size } = this.#options;
    for (let at = 0; at < bytes.length; ) {
      this.#filling ??= this.#free.pop() ?? Buffer.allocUnsafeSlow(size);
      const length = bytes.copy(this.#filling, this.#used, at);
      this.#used += length;
      at += length;
      if (this.#used === size) this.flush();
    }
  }

  /** Stores the segment that is being filled, if there is one. */
  flush(): void {
    const buffer = this.#filling;
    if (!buffer) return;
    const at = this.#started++;
    const bytes = buffer.subarray(0, this.#used);
    this.#filling = undefined;
    this.#used = 0;
    const putting = this.#options.put(at, bytes);
    if (!putting) return;
    const put = putting
      .then((object) => {
        this.objects[at] = object;
        this.#stored += bytes.length;
      })
      .catch(this.#options.onFailed)
      .finally(() => {
        this.#puts.delete(put);
        this.#free.push(buffer);
        this.#options.onPut();
      });
    this.#puts.add(put);
  }

  /** Resolves when nothing is being stored. */
  async idle(): Promise<void> {
    while (this.#puts.size > 0) await Promise.all(this.#puts);
  }
}
