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
  /** Called with the bytes written so far. */
  readonly onProgress: (bytes: number) => void;
}

/**
 * Writes a stored stream, uncompressed, and ends the output.
 * @throws ZpsendError STREAM_BROKEN for a damaged stream, ABORTED by the signal; the output is then incomplete
 */
export async function fetchStream({ bucket, manifest, to, signal, onProgress }: FetchOrder): Promise<void> {
  const read = Promise.withResolvers<void>();
  const stream = openStoredStream(bucket, manifest, {
    patienceMs: timing.cli.storeMs,
    onFirstFrame() {},
    onEnd: () => read.resolve(),
    onBroken: (error) => read.reject(ZpsendError.fromBody(error)),
  });
  const damaged = (why: string) =>
    read.reject(new ZpsendError('STREAM_BROKEN', `stream ${manifest.id} is not valid zstd: ${why}`));
  const interrupted = () =>
    read.reject(new ZpsendError('ABORTED', `interrupted before the end of stream ${manifest.id}`));
  signal.addEventListener('abort', interrupted);
  const isCompressed = manifest.targets.some(({ start }) => start.compression !== undefined);
  const written = finished(to).catch((thrown) => {
    throw writeError(thrown);
  });
  written.catch(() => {});
  const progress = setInterval(() => onProgress(stream.consumed), timing.cli.storeProgressMs);
  try {
    stream.attach(isCompressed ? decoderInto(to, damaged) : to);
    await Promise.race([read.promise, written]);
    stream.finishInput();
    await Promise.race([written, read.promise.then(() => written)]);
  } finally {
    clearInterval(progress);
    signal.removeEventListener('abort', interrupted);
    stream.close();
  }
}

/** An error of writing: no space, a closed pipe, or an unwritable file. */
export const writeError = (thrown: unknown): ZpsendError => {
  if (thrown instanceof ZpsendError) return thrown;
  const why = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  if (why === 'EPIPE') return new ZpsendError('STREAM_BROKEN', 'the pipe was closed before the end of the stream');
  const what = typeof why === 'string' && noSpace.has(why) ? 'NO_SPACE' : 'BAD_REQUEST';
  return new ZpsendError(what, `the stream cannot be written: ${ZpsendError.from(thrown).message}`);
};

const noSpace: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
