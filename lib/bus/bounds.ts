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

/** What all answers that come at once may have together, so that several peers do not do what one may not. */
export interface Budget {
  readonly bytes: number;
  /** An answer that has had no more than this is never the one to be refused. */
  readonly modest: number;
  /** What they have now. */
  taken: number;
}

/** Of this process. */
const together: Budget = { bytes: 512 * mebibyte, modest: 8 * mebibyte, taken: 0 };

export interface Tally {
  /** Counts a message of so many bytes. @returns why it is refused */
  take(length: number): ZpsendError | undefined;
  /** Nothing more comes. */
  end(): void;
}

/** Counts what comes in answer to one question. */
export function openTally(what: string, bounds: Bounds, budget: Budget = together): Tally {
  let messages = 0;
  let bytes = 0;
  let ended = false;
  return {
    take(length) {
      if (ended) return undefined;
      messages += 1;
      bytes += length;
      budget.taken += length;
      if (messages > bounds.messages) return tooMuch(what, 'messages', bounds.messages);
      if (bytes > bounds.bytes) return tooMuch(what, 'bytes', bounds.bytes);
      if (budget.taken > budget.bytes && bytes > budget.modest) {
        return tooMuch(`${what}, with others that come now,`, 'bytes', budget.bytes);
      }
      return undefined;
    },
    end() {
      if (!ended) budget.taken -= bytes;
      ended = true;
    },
  };
}
