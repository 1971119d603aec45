import { ZpsendError } from '../../schemas/errors.ts';

/** The limits of the replies to one request. A peer that sends more is refused before parsing. */
export interface Bounds {
  readonly messages: number;
  /** Of all replies together. */
  readonly bytes: number;
  /** From the request to the last reply, in milliseconds. */
  readonly ms: number;
}

const mebibyte = 2 ** 20;

/** The largest part of an answer in parts, also if the NATS server accepts larger messages. */
export const mostPartBytes = 4 * mebibyte;

/** One answer: a status with its jobs, for example. */
export const oneAnswer: Bounds = { messages: 1, bytes: 8 * mebibyte, ms: 600_000 };
/** An answer in parts: a listing of a million snapshots has about 250 MB. */
export const answerInParts: Bounds = { messages: 16_384, bytes: 256 * mebibyte, ms: 600_000 };
/** The answers of all instances. */
export const manyAnswers: Bounds = { messages: 4096, bytes: 16 * mebibyte, ms: 60_000 };

/** A peer's answer, a bucket or a store exceeds its limit. @param limit the unit that is counted */
export const tooMuch = (what: string, limit: string, most: number): ZpsendError =>
  new ZpsendError('TOO_MUCH', `${what} has more than ${most} ${limit}, which is the limit; none of it was used`, {
    limit,
    most,
  });

/** The limit of all concurrent answers together, so that several peers cannot exceed what one may not. */
export interface Budget {
  readonly bytes: number;
  /** An answer of at most this size is never refused. */
  readonly modest: number;
  /** The bytes of all current answers. */
  taken: number;
}

/** The budget of this process. */
const together: Budget = { bytes: 512 * mebibyte, modest: 8 * mebibyte, taken: 0 };

export interface Tally {
  /** Counts a message of `length` bytes. @returns the error if it exceeds a limit */
  take(length: number): ZpsendError | undefined;
  /** The answer is complete. */
  end(): void;
}

/** Counts the replies to one request. */
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
        return tooMuch(`${what}, with other current answers,`, 'bytes', budget.bytes);
      }
      return undefined;
    },
    end() {
      if (!ended) budget.taken -= bytes;
      ended = true;
    },
  };
}
