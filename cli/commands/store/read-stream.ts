import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { StreamsBucket } from '../../../lib/bus/channel/store/object-bucket.ts';
import { openStoredStream } from '../../../lib/bus/channel/store/receiver.ts';
import { decoderInto } from '../../../lib/compression/decode.ts';
import { timing } from '../../../lib/time/timing.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { Manifest } from '../../../schemas/stored.ts';

export interface FetchOrder {
  readonly bucket: StreamsBucket;
  readonly manifest: Manifest;
  readonly to: Writable;
  readonly signal: AbortSignal;
  /** Told of bytes written so far. */
  readonly told: (bytes: number) => void;
}

/**
 * Writes a stored stream, uncompressed, and ends what it writes to.
 * @throws ZpsendError STREAM_BROKEN for a stream that is damaged, ABORTED by the signal; what was written then is not whole
 */
export async function fetchStream({ bucket, manifest, to, signal, told }: FetchOrder): Promise<void> {
  const read = Promise.withResolvers<void>();
  const stream = openStoredStream(bucket, manifest, {
    patienceMs: timing.cli.storeMs,
    onFirstFrame() {},
    onEnd: () => read.resolve(),
    onBroken: (error) => read.reject(ZpsendError.fromBody(error)),
  });
  const damaged = (why: string) =>
    read.reject(new ZpsendError('STREAM_BROKEN', `${manifest.id} is no zstd stream: ${why}`));
  const interrupted = () => read.reject(new ZpsendError('ABORTED', 'interrupted before the end of the stream'));
  signal.addEventListener('abort', interrupted);
  const isPacked = manifest.targets.some(({ start }) => start.compression !== undefined);
  const written = finished(to).catch((thrown) => {
    throw unwritten(thrown);
  });
  written.catch(() => {});
  const telling = setInterval(() => told(stream.consumed), timing.cli.storeProgressMs);
  try {
    stream.attach(isPacked ? decoderInto(to, damaged) : to);
    await Promise.race([read.promise, written]);
    stream.finishInput();
    await Promise.race([written, read.promise.then(() => written)]);
  } finally {
    clearInterval(telling);
    signal.removeEventListener('abort', interrupted);
    stream.close();
  }
}

/** Out of room, a reader that has left, or a file that cannot be. */
export const unwritten = (thrown: unknown): ZpsendError => {
  if (thrown instanceof ZpsendError) return thrown;
  const why = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  if (why === 'EPIPE') return new ZpsendError('STREAM_BROKEN', 'whoever reads the stream has left before its end');
  const what = typeof why === 'string' && noRoom.has(why) ? 'NO_SPACE' : 'BAD_REQUEST';
  return new ZpsendError(what, `the stream cannot be written there: ${ZpsendError.from(thrown).message}`);
};

const noRoom: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
