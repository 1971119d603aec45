import type { Writable } from 'node:stream';
import { decoderInto } from '../../../lib/compression/decode.ts';
import { openHeadCheck } from '../../../lib/zfs/stream-head.ts';
import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import type { ReceiveStart } from '../../../schemas/transfer.ts';
import { damaged } from './errors.ts';
import { inFrontOf, writeTogether } from './in-front.ts';

/** Of a stream that is shorter than its first record. */
export const endedEarly = 'it ended before it began';

const another = ({ sourceHost, to }: Announced, host: string, why: string): ErrorBody =>
  new ZpsendError(
    'STREAM_BROKEN',
    `the stream from ${sourceHost} is not that of ${to.name}, and nothing of it was received on ${host}: ${why}`,
    { snapshot: to.name },
  ).toBody();

type Announced = Pick<ReceiveStart, 'sourceHost' | 'to' | 'from' | 'raw'>;

/**
 * The input of `zfs receive` with a check: no byte goes into `into` before the stream is known to begin as expected.
 * @param broken called once with the reason where it does not; no byte is written after that
 */
export function checkedInput(
  into: Writable,
  start: Announced,
  host: string,
  broken: (error: ErrorBody) => void,
): Writable {
  const { to, from, raw = false } = start;
  const check = openHeadCheck({ toguid: to.guid, fromguid: from?.guid, raw });
  const refused = (why: string): void => broken(another(start, host, why));

  function passed(chunk: Buffer): Buffer | undefined {
    try {
      return check.take(chunk);
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      refused(error.message);
      throw error;
    }
  }

  function write(chunk: Buffer, callback: (error?: Error | null) => void): void {
    if (check.isPassed) {
      into.write(chunk, callback);
      return;
    }
    try {
      const bytes = passed(chunk);
      if (bytes) into.write(bytes, callback);
      else callback();
    } catch (error) {
      callback(error as Error);
    }
  }

  return inFrontOf(into, {
    write: (chunk: Buffer, _encoding, callback) => write(chunk, callback),
    writev(chunks, callback) {
      if (check.isPassed) writeTogether(into, chunks, callback);
      else write(Buffer.concat(chunks.map(({ chunk }) => chunk)), callback);
    },
    final(callback) {
      if (!check.isPassed) refused(endedEarly);
      into.end(() => callback());
    },
  });
}

/** The input of a compressed stream. @param broken called where it is damaged */
export const decodedInto = (into: Writable, start: ReceiveStart, broken: (error: ErrorBody) => void): Writable =>
  decoderInto(into, (why) => broken(damaged(start, why)));
