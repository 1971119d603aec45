import { type ErrorBody, ZpsendError } from '../../../../schemas/errors.ts';
import type { Manifest } from '../../../../schemas/stored.ts';
import { storedName } from '../../subjects.ts';
import type { ChannelHandlers, ChannelReceiver } from '../channel.ts';
import type { RateLimit } from '../rate-limit.ts';
import type { StreamsBucket } from './object-bucket.ts';
import { openRateLimitedInput } from './rate-limited-input.ts';
import { withRetry } from './retry.ts';

export interface StoredStreamOptions extends ChannelHandlers {
  /** How long to wait for an unreachable store, in milliseconds. */
  readonly patienceMs: number;
  readonly rateLimit?: RateLimit | undefined;
}

/** The receiver's end of the store channel. */
export interface StoredStream extends ChannelReceiver {
  /** The error with which the receive ended; undefined if it is done. */
  readonly outcome: Promise<ErrorBody | undefined>;
}

type Got = Awaited<ReturnType<StreamsBucket['get']>>;

/** The bytes of a segment. @throws ZpsendError STREAM_BROKEN if they do not match the manifest */
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

/**
 * Fetches a stored stream, and writes it to `zfs receive` after checking each segment against the manifest. While a segment is written,
 * the next one is fetched: two are in memory (I8).
 */
export function openStoredStream(
  bucket: StreamsBucket,
  manifest: Manifest,
  options: StoredStreamOptions,
): StoredStream {
  const { id, digests, segment } = manifest;
  const outcome = Promise.withResolvers<ErrorBody | undefined>();
  const stop = new AbortController();
  const input = openRateLimitedInput(options.rateLimit, stop.signal);
  let received = 0;
  let fetched = 0;
  /** The memory of written segments, to be reused. */
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
    fetched += 1;
    return bytes;
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
      if (await input.write(bytes)) free.push(bytes);
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
      return input.written;
    },
    get progress() {
      return fetched + input.pieces;
    },
    attach: input.attach,
    finishInput: input.finish,
    cutInput: () => stop.abort(),
    done: () => outcome.resolve(undefined),
    failed: (error) => outcome.resolve(error),
    outcome: outcome.promise,
    close() {
      stop.abort();
      input.close();
    },
  };
}

const damaged = ({ id, source, targets }: Manifest, why: string): ZpsendError =>
  new ZpsendError(
    'STREAM_BROKEN',
    `the stored stream ${id} from ${source} (${targets[0]?.start.to.name}) cannot be read: ${why}; the next job of ${source} sends it again`,
    { reason: 'lost', stored: id },
  );
