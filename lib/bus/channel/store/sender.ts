import { type ErrorBody, ZpsendError } from '../../../../schemas/errors.ts';
import type { Manifest } from '../../../../schemas/stored.ts';
import type { CreditFinal } from '../../../../schemas/transfer.ts';
import { type Clock, systemClock } from '../../../time/clock.ts';
import { storedName } from '../../subjects.ts';
import type { ChannelSender } from '../channel.ts';
import type { RateLimit } from '../rate-limit.ts';
import { deleteStored } from './delete-stream.ts';
import { crowded, fitsInto, inVain, noRoom, notKept, titleOf, tooLarge, tooSlow } from './errors.ts';
import type { StoredObject, StreamsBucket } from './object-bucket.ts';
import { withRetry } from './retry.ts';
import { SegmentWriter } from './segment-writer.ts';
import type { Room } from './wait-for-space.ts';

export interface StoreSenderOptions {
  readonly id: string;
  /** The targets that fetch the stream. */
  readonly targets: Manifest['targets'];
  /** How long a bucket that is full or unreachable is waited for, in milliseconds. */
  readonly patienceMs: number;
  readonly rateLimit?: RateLimit | undefined;
  /** Called once, when it has to wait for space. */
  readonly onFull?: () => void;
  /** Of all streams that go into this store. */
  readonly room: Room;
  /** Bytes that the store may hold. */
  readonly bound?: number | undefined;
  /** Given the deletion of a stream that failed; it never rejects. */
  readonly clearing?: (cleared: Promise<void>) => void;
  /** Bytes of a segment, and how many are held in memory. */
  readonly segment?: number;
  readonly ahead?: number;
  readonly clock?: Clock;
}

const defaultSegment = 16 * 1024 * 1024;
/** One is filled while the others are being stored. */
const defaultAhead = 5;

type Keeping = NonNullable<ChannelSender['keeping']>;

/**
 * The sender's end of the store channel. It puts the stream into segments, and stores the manifest that names them only when all are
 * stored and `zfs send` exited 0 (I7). Without the manifest nothing reads the segments.
 */
export const openStoreSender = (bucket: StreamsBucket, options: StoreSenderOptions): ChannelSender =>
  new StoreSender(bucket, options);

class StoreSender implements ChannelSender {
  readonly #bucket: StreamsBucket;
  readonly #options: StoreSenderOptions;
  readonly #size: number;
  readonly #writer: SegmentWriter;
  readonly #final = Promise.withResolvers<CreditFinal>();
  readonly #waiting = new Set<() => void>();
  readonly #stop = new AbortController();
  #targets: Manifest['targets'];
  /** The last manifest put, which never rejects. */
  #publishing: Promise<void> | undefined;
  #hasEnded = false;
  #isSettled = false;
  /** Puts that wait for space. */
  #full = 0;
  #wasFull = false;
  /** Takes this one's targets out of the other one that stores the stream instead. */
  #withdraw: (() => void) | undefined;
  sent = 0;
  over: ErrorBody | undefined;
  // it waits for no receiver, and slows none
  readonly idleMs = 0;

  constructor(bucket: StreamsBucket, options: StoreSenderOptions) {
    this.#bucket = bucket;
    this.#options = options;
    this.#targets = options.targets;
    this.#size = options.segment ?? defaultSegment;
    this.#writer = new SegmentWriter({
      size: this.#size,
      most: options.ahead ?? defaultAhead,
      put: (at, bytes) => this.#putSegment(at, bytes),
      onFailed: (thrown) => this.#failStore(thrown),
      onPut: () => {
        this.#wake();
        this.#finish();
      },
    });
  }

  get rateLimit(): RateLimit | undefined {
    return this.#options.rateLimit;
  }

  get consumed(): number {
    return this.#withdraw ? this.sent : this.#writer.stored;
  }

  get room(): number {
    if (this.over || this.#hasEnded) return 0;
    return this.#withdraw ? Number.POSITIVE_INFINITY : this.#writer.room;
  }

  get waiting(): ErrorBody | undefined {
    return this.#full > 0 ? noRoom(this.#bucket.source) : undefined;
  }

  get final(): Promise<CreditFinal> {
    return this.#final.promise;
  }

  get keeping(): Keeping {
    return { leaveTo: (other) => this.#leaveTo(other), keepFor: (targets) => this.#keepFor(targets) };
  }

  take(bytes: number): void {
    this.sent += bytes;
  }

  keep(bytes: Buffer): void {
    if (!this.#withdraw && !this.over) this.#writer.write(bytes);
  }

  flushed(): void {}

  lost(): void {}

  share(): void {}

  leaveBehind(): void {
    this.abort(tooSlow.toBody());
  }

  onChange(advance: () => void): () => void {
    this.#waiting.add(advance);
    return () => void this.#waiting.delete(advance);
  }

  end(): void {
    if (this.#isSettled || this.#hasEnded) return;
    this.#hasEnded = true;
    if (this.#withdraw) return;
    this.#writer.flush();
    this.#finish();
  }

  abort(error: ErrorBody): void {
    this.#settle({ type: 'failed', error });
  }

  close(): void {
    this.abort(new ZpsendError('ABORTED', 'the sender closed its end of the transfer').toBody());
  }

  #settle(final: CreditFinal): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    if (final.type === 'failed') {
      this.over = final.error;
      this.#stop.abort();
      this.#withdraw?.();
      const cleared = this.#clear();
      this.#options.clearing?.(cleared);
    }
    this.#final.resolve(final);
    this.#wake();
  }

  #wake(): void {
    for (const advance of [...this.#waiting]) advance();
  }

  /** Deletes what is stored of a failed stream. The sender's store maintenance deletes later what cannot be deleted now. */
  async #clear(): Promise<void> {
    await this.#writer.idle();
    await this.#publishing;
    const { started: segments } = this.#writer;
    const failed = { reason: 'failed' as const, id: this.#options.id, segments, hasEnded: this.#hasEnded };
    await deleteStored(this.#bucket, failed).catch(() => {});
  }

  #failStore(thrown: unknown): void {
    this.abort(inVain(ZpsendError.from(thrown), this.#bucket.source, this.#options.patienceMs).toBody());
  }

  #retry<T>(work: () => Promise<T>): Promise<T> {
    const { patienceMs: ms, clock = systemClock } = this.#options;
    return withRetry(work, { ms, clock, signal: this.#stop.signal, onFull: (isFull) => this.#onFull(isFull) });
  }

  #onFull(isFull: boolean): void {
    const { id, room, onFull } = this.#options;
    this.#full += isFull ? 1 : -1;
    if (this.#full === 0) room.release(id);
    if (!isFull || this.#isSettled) return;
    if (!room.claim(id)) {
      this.abort(crowded(this.#bucket.source).toBody());
      return;
    }
    if (!this.#wasFull) onFull?.();
    this.#wasFull = true;
  }

  #putSegment(at: number, bytes: Buffer): Promise<StoredObject> | undefined {
    const { id, bound } = this.#options;
    const [from, to] = [at * this.#size, at * this.#size + bytes.length];
    if (bound !== undefined && !fitsInto(bound, to)) {
      this.abort(tooLarge(titleOf(this.#targets), this.#bucket.source, bound).toBody());
      return undefined;
    }
    const description = `bytes ${from} to ${to} of ${titleOf(this.#targets)}`;
    return this.#retry(() => this.#bucket.put(storedName({ kind: 'segment', id, at }), bytes, description));
  }

  /** Stores the manifest when all segments are stored. */
  #finish(): void {
    if (!this.#hasEnded || this.#isSettled || this.#publishing || !this.#writer.isIdle) return;
    const guid = this.#targets[0]?.start.to.guid ?? '';
    this.#publishing = this.#publish()
      .then(() => this.#settle({ type: 'done', guid, bytes: this.sent }))
      .catch((thrown) => this.#failStore(thrown));
  }

  async #publish(): Promise<void> {
    const { id } = this.#options;
    const { objects } = this.#writer;
    const manifest: Manifest = {
      version: 1,
      id,
      source: this.#bucket.source,
      bytes: this.sent,
      segment: this.#size,
      digests: objects.map(({ digest }) => digest),
      targets: this.#targets,
    };
    const name = storedName({ kind: 'manifest', id });
    await this.#retry(async () => {
      // another instance that took this one's job for dead may have deleted them
      if (!(await this.#bucket.areWhole(objects)))
        throw new ZpsendError('STREAM_BROKEN', 'segments of it were deleted while it was being stored');
      await this.#bucket.put(name, Buffer.from(JSON.stringify(manifest)), titleOf(this.#targets));
    });
  }

  #leaveTo(other: Keeping): void {
    const kept = other.keepFor(this.#targets);
    this.#withdraw = kept.withdraw;
    void kept.final.then((final) =>
      this.#settle(
        final.type === 'failed' ? { type: 'failed', error: notKept(final.error) } : { ...final, bytes: this.sent },
      ),
    );
  }

  #keepFor(more: Manifest['targets']): ReturnType<Keeping['keepFor']> {
    this.#targets = [...this.#targets, ...more];
    const withdraw = (): void => {
      this.#targets = this.#targets.filter((target) => !more.includes(target));
    };
    return { final: this.final, withdraw };
  }
}
