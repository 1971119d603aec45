import { setTimeout as sleep } from 'node:timers/promises';
import { type ErrorBody, ZpsendError } from '../../../../schemas/errors.ts';
import type { Manifest } from '../../../../schemas/stored.ts';
import type { CreditFinal } from '../../../../schemas/transfer.ts';
import { storedName } from '../../subjects.ts';
import type { ChannelSender } from '../channel.ts';
import type { RateLimit } from '../rate-limit.ts';
import { deleteStored } from './delete-stream.ts';
import { crowded, fitsInto, inVain, noRoom, notKept, titleOf, tooLarge, tooSlow } from './errors.ts';
import type { StoredObject, StreamsBucket } from './object-bucket.ts';
import { withRetry } from './retry.ts';
import type { Room } from './wait-for-space.ts';

export interface StoreSenderOptions {
  readonly id: string;
  /** Who fetches the stream. */
  readonly targets: Manifest['targets'];
  /** How long a full bucket, or one that cannot be reached, is waited for, in milliseconds. */
  readonly patienceMs: number;
  readonly rateLimit?: RateLimit | undefined;
  /** Told once when it has to wait for room. */
  readonly onFull?: () => void;
  /** Of all streams that go into this store. */
  readonly room: Room;
  /** Bytes that the store may hold. */
  readonly bound?: number | undefined;
  /** Given the removal of what was stored of a stream that will never be whole; it never rejects. */
  readonly clearing?: (cleared: Promise<void>) => void;
  /** Bytes of a segment, and how many are held in memory. */
  readonly segment?: number;
  readonly ahead?: number;
}

const defaultSegment = 16 * 1024 * 1024;
/** One is filled while the others are on their way. */
const defaultAhead = 5;

/**
 * The sender's end of the store channel. What it takes is put into segments, and the manifest that names them only when all are
 * stored and `zfs send` exited 0 (I7): without it nobody looks at them. Memory is bounded by the segments in flight (I8).
 */
export function openStoreSender(bucket: StreamsBucket, options: StoreSenderOptions): ChannelSender {
  const { id } = options;
  let { targets } = options;
  const segment = options.segment ?? defaultSegment;
  const most = options.ahead ?? defaultAhead;
  const final = Promise.withResolvers<CreditFinal>();
  const waiting = new Set<() => void>();
  const stop = new AbortController();
  const free: Buffer[] = [];
  const objects: StoredObject[] = [];
  let filling: Buffer | undefined;
  let used = 0;
  let segments = 0;
  let putting = 0;
  let sent = 0;
  let stored = 0;
  let ended = false;
  let settled = false;
  let over: ErrorBody | undefined;
  /** Puts that wait for room. */
  let full = 0;
  let wasFull = false;
  /** Of the one that keeps the stream instead. */
  let withdraw: (() => void) | undefined;

  function settle(word: CreditFinal): void {
    if (settled) return;
    settled = true;
    if (word.type === 'failed') {
      over = word.error;
      stop.abort();
      withdraw?.();
      const cleared = clear();
      options.clearing?.(cleared);
    }
    final.resolve(word);
    wake();
  }
  const wake = (): void => {
    for (const advance of [...waiting]) advance();
  };

  /** What cannot be deleted now, the sender's store maintenance deletes later. */
  async function clear(): Promise<void> {
    while (putting > 0) await sleep(50);
    await deleteStored(bucket, { reason: 'failed', id, segments, hasEnded: ended }).catch(() => {});
  }

  /** Another instance that took this one for dead may have removed them. @throws ZpsendError STREAM_BROKEN */
  async function checkSegments(): Promise<void> {
    if (!(await bucket.areWhole(objects)))
      throw new ZpsendError('STREAM_BROKEN', 'segments of it were removed while it was being stored');
  }

  function onFull(isFull: boolean): void {
    full += isFull ? 1 : -1;
    if (full === 0) options.room.release(id);
    if (!isFull || settled) return;
    if (!options.room.claim(id)) {
      settle({ type: 'failed', error: crowded(bucket.source).toBody() });
      return;
    }
    if (!wasFull) options.onFull?.();
    wasFull = true;
  }
  const patiently = <T>(work: () => Promise<T>): Promise<T> =>
    withRetry(work, { ms: options.patienceMs, signal: stop.signal, onFull });

  const unstored = (thrown: unknown): void =>
    settle({ type: 'failed', error: inVain(ZpsendError.from(thrown), bucket.source, options.patienceMs).toBody() });

  /** Sends the segment that was being filled on its way. */
  function launch(): void {
    const buffer = filling;
    if (!buffer) return;
    const at = segments++;
    const bytes = buffer.subarray(0, used);
    filling = undefined;
    used = 0;
    if (options.bound !== undefined && !fitsInto(options.bound, at * segment + bytes.length)) {
      settle({ type: 'failed', error: tooLarge(titleOf(targets), bucket.source, options.bound).toBody() });
      return;
    }
    putting += 1;
    const about = `bytes ${at * segment} to ${at * segment + bytes.length} of ${titleOf(targets)}`;
    patiently(() => bucket.put(storedName({ kind: 'segment', id, at }), bytes, about))
      .then((object) => {
        objects[at] = object;
        stored += bytes.length;
      })
      .catch(unstored)
      .finally(() => {
        putting -= 1;
        free.push(buffer);
        wake();
        finish();
      });
  }

  function finish(): void {
    if (!ended || settled || putting > 0 || filling) return;
    putting += 1;
    const digests = objects.map(({ digest }) => digest);
    const manifest: Manifest = { version: 1, id, source: bucket.source, bytes: sent, segment, digests, targets };
    const name = storedName({ kind: 'manifest', id });
    const guid = targets[0]?.start.to.guid ?? '';
    patiently(async () => {
      await checkSegments();
      await bucket.put(name, Buffer.from(JSON.stringify(manifest)), titleOf(targets));
    })
      .then(() => settle({ type: 'done', guid, bytes: sent }))
      .catch(unstored)
      .finally(() => {
        putting -= 1;
      });
  }

  return {
    get sent() {
      return sent;
    },
    get consumed() {
      return withdraw ? sent : stored;
    },
    get room() {
      if (over || ended) return 0;
      if (withdraw) return Number.POSITIVE_INFINITY;
      return (filling ? segment - used : 0) + (most - putting - (filling ? 1 : 0)) * segment;
    },
    rateLimit: options.rateLimit,
    // it waits for nobody, and nobody is slow on its account
    idleMs: 0,
    get over() {
      return over;
    },
    get waiting() {
      return full > 0 ? noRoom(bucket.source) : undefined;
    },
    take(bytes) {
      sent += bytes;
    },
    keep(bytes) {
      if (withdraw) return;
      for (let at = 0; at < bytes.length && !over; ) {
        filling ??= free.pop() ?? Buffer.allocUnsafeSlow(segment);
        const length = bytes.copy(filling, used, at);
        used += length;
        at += length;
        if (used === segment) launch();
      }
    },
    flushed() {},
    lost() {},
    leaveBehind() {
      settle({ type: 'failed', error: tooSlow.toBody() });
    },
    onChange(advance) {
      waiting.add(advance);
      return () => void waiting.delete(advance);
    },
    share() {},
    end() {
      if (settled || ended) return;
      ended = true;
      if (withdraw) return;
      if (used > 0) launch();
      else finish();
    },
    keeping: {
      leaveTo(other) {
        const kept = other.keepFor(targets);
        ({ withdraw } = kept);
        void kept.final.then((word) =>
          settle(word.type === 'failed' ? { type: 'failed', error: notKept(word.error) } : { ...word, bytes: sent }),
        );
      },
      keepFor(more) {
        targets = [...targets, ...more];
        return {
          final: final.promise,
          withdraw: () => {
            targets = targets.filter((target) => !more.includes(target));
          },
        };
      },
    },
    abort: (error) => settle({ type: 'failed', error }),
    final: final.promise,
    close() {
      settle({
        type: 'failed',
        error: new ZpsendError('ABORTED', 'the sender closed its end of the transfer').toBody(),
      });
    },
  };
}
