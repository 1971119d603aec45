import { type ErrorBody, ZpsendError } from '../../../../schemas/errors.ts';
import type { Manifest } from '../../../../schemas/stored.ts';
import type { CreditFinal } from '../../../../schemas/transfer.ts';
import { type Clock, systemClock } from '../../../time/clock.ts';
import { storedName } from '../../subjects.ts';
import type { ChannelSender } from '../channel.ts';
import type { RateLimit } from '../rate-limit.ts';
import { deleteStored } from './delete-stream.ts';
import {
  fitsInto,
  otherJobFailed,
  spaceTaken,
  storeFull,
  titleOf,
  tooLarge,
  tooSlow,
  waitedTooLong,
} from './errors.ts';
import type { StoredObject, StreamsBucket } from './object-bucket.ts';
import { withRetry } from './retry.ts';
import { SegmentWriter } from './segment-writer.ts';
import type { SpaceQueue } from './wait-for-space.ts';

export interface StoreSenderOptions {
  readonly id: string;
  /** The targets that fetch the stream. */
  readonly targets: Manifest['targets'];
  /** How long to wait for a full or unreachable bucket, in milliseconds. */
  readonly patienceMs: number;
  readonly rateLimit?: RateLimit | undefined;
  /** Called once, when the stream first waits for space. */
  readonly onFull?: () => void;
  /** Shared by all streams of this store. */
  readonly spaceQueue: SpaceQueue;
  /** Bytes that the store may hold. */
  readonly bound?: number | undefined;
  /** Called with the deletion of a failed stream's segments; the promise never rejects. */
  readonly clearing?: (cleared: Promise<void>) => void;
  /** Bytes of a segment. */
  readonly segment?: number;
  /** Segments held in memory at most. */
  readonly ahead?: number;
  readonly clock?: Clock;
}

const defaultSegment = 16 * 1024 * 1024;
/** One is filled while the others are being stored. */
const defaultAhead = 5;

type StreamStorage = NonNullable<ChannelSender['storage']>;

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
  /** The upload of the manifest; it never rejects. */
  #publishing: Promise<void> | undefined;
  #hasEnded = false;
  #isSettled = false;
  /** Uploads that wait for space. */
  #full = 0;
  #wasFull = false;
  /** Set once another job stores this stream for this job; removes this job's targets from that job's manifest. */
  #removeTargets: (() => void) | undefined;
  sent = 0;
  over: ErrorBody | undefined;
  // no receiver reads this channel now, so none is idle
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
    return this.#removeTargets ? this.sent : this.#writer.stored;
  }

  get room(): number {
    if (this.over || this.#hasEnded) return 0;
    return this.#removeTargets ? Number.POSITIVE_INFINITY : this.#writer.room;
  }

  get waiting(): ErrorBody | undefined {
    return this.#full > 0 ? storeFull(this.#bucket.source) : undefined;
  }

  get final(): Promise<CreditFinal> {
    return this.#final.promise;
  }

  get storage(): StreamStorage {
    return { delegateTo: (other) => this.#delegateTo(other), addTargets: (targets) => this.#addTargets(targets) };
  }

  take(bytes: number): void {
    this.sent += bytes;
  }

  store(bytes: Buffer): void {
    if (!this.#removeTargets && !this.over) this.#writer.write(bytes);
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
    if (this.#removeTargets) return;
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
      this.#removeTargets?.();
      const cleared = this.#clear();
      this.#options.clearing?.(cleared);
    }
    this.#final.resolve(final);
    this.#wake();
  }

  #wake(): void {
    for (const advance of [...this.#waiting]) advance();
  }

  /** Deletes a failed stream's objects. What remains is deleted by store maintenance. */
  async #clear(): Promise<void> {
    await this.#writer.idle();
    await this.#publishing;
    const { started: segments } = this.#writer;
    const failed = { reason: 'failed' as const, id: this.#options.id, segments, hasEnded: this.#hasEnded };
    await deleteStored(this.#bucket, failed).catch(() => {});
  }

  #failStore(thrown: unknown): void {
    this.abort(waitedTooLong(ZpsendError.from(thrown), this.#bucket.source, this.#options.patienceMs).toBody());
  }

  #retry<T>(work: () => Promise<T>): Promise<T> {
    const { patienceMs: ms, clock = systemClock } = this.#options;
    return withRetry(work, { ms, clock, signal: this.#stop.signal, onFull: (isFull) => this.#onFull(isFull) });
  }

  #onFull(isFull: boolean): void {
    const { id, spaceQueue, onFull } = this.#options;
    this.#full += isFull ? 1 : -1;
    if (this.#full === 0) spaceQueue.release(id);
    if (!isFull || this.#isSettled) return;
    if (!spaceQueue.claim(id)) {
      this.abort(spaceTaken(this.#bucket.source).toBody());
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
      // another instance may have taken this job for dead and deleted its segments
      if (!(await this.#bucket.areWhole(objects)))
        throw new ZpsendError('STREAM_BROKEN', 'segments of it were deleted while it was being stored');
      await this.#bucket.put(name, Buffer.from(JSON.stringify(manifest)), titleOf(this.#targets));
    });
  }

  #delegateTo(other: StreamStorage): void {
    const shared = other.addTargets(this.#targets);
    this.#removeTargets = shared.removeTargets;
    void shared.final.then((final) =>
      this.#settle(
        final.type === 'failed'
          ? { type: 'failed', error: otherJobFailed(final.error) }
          : { ...final, bytes: this.sent },
      ),
    );
  }

  #addTargets(more: Manifest['targets']): ReturnType<StreamStorage['addTargets']> {
    this.#targets = [...this.#targets, ...more];
    const removeTargets = (): void => {
      this.#targets = this.#targets.filter((target) => !more.includes(target));
    };
    return { final: this.final, removeTargets };
  }
}
