import { ZpsendError } from '../../schemas/errors.ts';

/** What may come in answer to one question. A peer that sends more is refused, before any of it is parsed. */
export interface Bounds {
  readonly messages: number;
  /** Of all of them together. */
  readonly bytes: number;
  /** From the question to the last of them, in milliseconds, however little each of them keeps waiting. */
  readonly ms: number;
}

const mebibyte = 2 ** 20;

/** The largest part of an answer in parts; where a NATS server takes larger messages, parts are no larger. */
export const mostPartBytes = 4 * mebibyte;

/** One answer: a status with its jobs, for example. */
export const oneAnswer: Bounds = { messages: 1, bytes: 8 * mebibyte, ms: 600_000 };
/** An answer in parts: a listing of a million snapshots has about 250 MB. */
export const answerInParts: Bounds = { messages: 16_384, bytes: 256 * mebibyte, ms: 600_000 };
/** The answers of all instances. */
export const manyAnswers: Bounds = { messages: 4096, bytes: 16 * mebibyte, ms: 60_000 };

/** A peer's answer, a bucket or a store that is larger than zpsend takes. @param limit what is counted */
export const tooMuch = (what: string, limit: string, most: number): ZpsendError =>
  new ZpsendError(
    'TOO_MUCH',
    `${what} has more than ${most} ${limit}, which is the most that is taken; nothing of it was used`,
    {
      limit,
      most,
    },
  );

/**
 * Counts what comes in answer to one question.
 * @returns takes the length of a message in bytes, and says why it is refused
 */
export function openTally(what: string, bounds: Bounds): (length: number) => ZpsendError | undefined {
  let messages = 0;
  let bytes = 0;
  return (length) => {
    messages += 1;
    bytes += length;
    if (messages > bounds.messages) return tooMuch(what, 'messages', bounds.messages);
    if (bytes > bounds.bytes) return tooMuch(what, 'bytes', bounds.bytes);
    return undefined;
  };
}
