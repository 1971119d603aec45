import type { Writable } from 'node:stream';
import { type ErrorBody, ZpsendError } from '../../../../schemas/errors.ts';
import type { Manifest } from '../../../../schemas/stored.ts';
import { storedName } from '../../subjects.ts';
import type { ChannelHandlers, ChannelReceiver } from '../channel.ts';
import type { RateLimit } from '../rate-limit.ts';
import type { StreamsBucket } from './object-bucket.ts';
import { withRetry } from './retry.ts';

export interface StoredStreamOptions extends ChannelHandlers {
  /** How long an unreachable store is waited for, in milliseconds. */
  readonly patienceMs: number;
  readonly rateLimit?: RateLimit | undefined;
}

/** The receiver's end of the store channel. */
export interface StoredStream extends ChannelReceiver {
  /** How the receive ended: undefined for done. */
  readonly outcome: Promise<ErrorBody | undefined>;
}

/** Bytes that are written at once; fewer with a rate limit. */
const pieceBytes = 1024 * 1024;

type Got = Awaited<ReturnType<StreamsBucket['get']>>;

/** The bytes of a segment. @throws ZpsendError STREAM_BROKEN where they are not what the manifest says */
function checked(manifest: Manifest, at: number, got: Got): Buffer {
  const { digests, segment, bytes: total } = manifest;
  const expected = at < digests.length - 1 ? segment : total - segment * (digests.length - 1);
  if (!got) throw damaged(manifest, `its segment ${at} is not in the store`);
  if (got.bytes.length !== expected) {
    throw damaged(manifest, `its segment ${at} has ${got.bytes.length} bytes, not ${expected}`);
  }
  if (got.object.digest !== digests[at]) throw damaged(manifest, `its segment ${at} is not the one that was stored`);
  return got.bytes;
}

/** Waits until at least one byte may be written. @returns how many may, at most `most` */
async function roomIn(rateLimit: RateLimit | undefined, most: number): Promise<number> {
  if (!rateLimit) return most;
  for (;;) {
    const room = Math.min(most, rateLimit.room());
    if (room > 0) {
      rateLimit.take(room);
      return room;
    }
    await new Promise<void>((resolve) => {
      const end = rateLimit.onRoom(() => {
        end();
        resolve();
      });
    });
  }
}

/**
 * Fetches a stored stream, one segment ahead of what is written. Each segment is checked against the manifest before any byte of it is
 * written. Two are held in memory (I8).
 */
export function openStoredStream(
  bucket: StreamsBucket,
  manifest: Manifest,
  options: StoredStreamOptions,
): StoredStream {
  const { id, digests, segment } = manifest;
  const { rateLimit } = options;
  const outcome = Promise.withResolvers<ErrorBody | undefined>();
  const attached = Promise.withResolvers<Writable | undefined>();
  const stop = new AbortController();
  let isIgnoring = false;
  let sink: Writable | undefined;
  let received = 0;
  let consumed = 0;
  let progress = 0;

  /** The memory of written segments, for the next ones. */
  const free: Buffer[] = [];

  async function fetch(at: number): Promise<Buffer> {
    const name = storedName({ kind: 'segment', id, at });
    const into = free.pop();
    const patience = { ms: options.patienceMs, signal: stop.signal };
    const got = await withRetry(() => bucket.get(name, segment, into), patience).catch((thrown) => {
      const { code, message } = ZpsendError.from(thrown);
      throw code === 'STREAM_BROKEN' ? damaged(manifest, message) : thrown;
    });
    const bytes = checked(manifest, at, got);
    progress += 1;
    return bytes;
  }

  async function write(bytes: Buffer): Promise<void> {
    if (isIgnoring) return;
    const to = await attached.promise;
    for (let at = 0; at < bytes.length && !stop.signal.aborted; ) {
      const piece = bytes.subarray(at, at + (await roomIn(rateLimit, Math.min(pieceBytes, bytes.length - at))));
      const isWritten = await new Promise<boolean>((resolve) => {
        if (!to || to.destroyed) resolve(false);
        else to.write(piece, (error) => resolve(!error));
      });
      // `zfs receive` may have all it needs: its exit code decides
      if (!isWritten) {
        isIgnoring = true;
        return;
      }
      at += piece.length;
      consumed += piece.length;
      progress += 1;
    }
  }

  async function run(): Promise<void> {
    let fetching = fetch(0);
    for (let at = 0; at < digests.length; at++) {
      const bytes = await fetching;
      if (stop.signal.aborted) return;
      received += bytes.length;
      if (at + 1 < digests.length) fetching = fetch(at + 1);
      fetching.catch(() => {});
      if (at === 0) options.onFirstFrame();
      await write(bytes);
      if (!isIgnoring) free.push(bytes);
    }
    if (!stop.signal.aborted) options.onEnd(received);
  }

  // no handler is called before this function has returned
  setImmediate(() => {
    run().catch((thrown) => {
      if (!stop.signal.aborted) options.onBroken(ZpsendError.from(thrown).toBody());
    });
  });

  return {
    get received() {
      return received;
    },
    get consumed() {
      return consumed;
    },
    get heard() {
      return progress;
    },
    attach(stdin) {
      sink = stdin;
      stdin.on('error', () => {});
      attached.resolve(stdin);
    },
    finishInput: () => void sink?.end(),
    cutInput: () => stop.abort(),
    done: () => outcome.resolve(undefined),
    failed: (error) => outcome.resolve(error),
    outcome: outcome.promise,
    close() {
      stop.abort();
      attached.resolve(undefined);
    },
  };
}

const damaged = ({ id, source, targets }: Manifest, why: string): ZpsendError =>
  new ZpsendError(
    'STREAM_BROKEN',
    `the stored stream ${id} from ${source} (${targets[0]?.start.to.name}) cannot be read: ${why}; the next job of ${source} sends it again`,
    { reason: 'lost', stored: id },
  );
