import type { Writable } from 'node:stream';
import type { ErrorBody } from '../../../schemas/errors.ts';
import type { Manifest } from '../../../schemas/stored.ts';
import type { CreditFinal } from '../../../schemas/transfer.ts';
import type { RateLimit } from './rate-limit.ts';

/**
 * A data channel, from its two ends: the direct one (`direct/`), or the object store (`store/`). Sender and receiver do not know which
 * one they use.
 */

/** One receiver of a stream, as far as it matters to the broadcast. */
export interface Subscriber {
  /** Bytes that may be sent now. */
  readonly room: number;
  /** How fast it may go there. */
  readonly rateLimit: RateLimit | undefined;
  /** How long its `zfs receive` has waited for bytes, in milliseconds, as it reported last. */
  readonly idleMs: number;
  /** Why nothing more goes there. */
  readonly over: ErrorBody | undefined;
  /** What it waits for, if that is not the receiver. */
  readonly waiting?: ErrorBody | undefined;
  /** So many bytes were handed to the connection; and so many of them were written. */
  take(bytes: number): void;
  flushed(bytes: number): void;
  /** Only for the store channel, which stores the bytes instead of reading what is published. Copies them before it returns. */
  store?(bytes: Buffer): void;
  /** The connection did not take them. */
  lost(): void;
  /** It held the others up for too long, and gets nothing more. */
  leaveBehind(): void;
  /** Calls back when there may be more room, or none for good. The function returned ends it. */
  onChange(advance: () => void): () => void;
}

/** The sender's end of a channel, to one receiver; the stream itself is broadcast to it, and to others at once. */
export interface ChannelSender extends Subscriber {
  /** Bytes sent, and bytes that the receiver is known to have handed to `zfs receive`. */
  readonly sent: number;
  readonly consumed: number;
  /** From here on the stream comes on a subject that it shares with others; what is for this receiver alone stays on its own. */
  share(subject: string): void;
  /** "That was all of it": only after `zfs send` exited 0 (I7). Does nothing when the transfer has failed. */
  end(): void;
  /** Sends the receiver the reason why there will be no end, and settles `final` with it. */
  abort(error: ErrorBody): void;
  /** The receiver's final message; or what went wrong on the way, as a failure. Never rejects. */
  readonly final: Promise<CreditFinal>;
  close(): void;
  /** Only for the store channel: lets the jobs of a fan-out store their common stream once. */
  readonly storage?: StreamStorage;
}

/** Several jobs store one stream: the first job stores it for the targets of all, and the others delegate to that job. */
interface StreamStorage {
  /** Stores nothing itself, and ends as the other job does. Only before the first byte. */
  delegateTo(other: StreamStorage): void;
  /** Adds targets to the manifest. @returns a function that removes them, and the result of the storing job */
  addTargets(targets: Manifest['targets']): { removeTargets(): void; readonly final: Promise<CreditFinal> };
}

/** What a receiver's end reports. Never before the function that opens it has returned. */
export interface ChannelHandlers {
  /** The first frame arrived. Called once. */
  onFirstFrame(): void;
  /** All `total` bytes of the stream have arrived, and the sender's `zfs send` exited 0 (I7). Called once. */
  onEnd(total: number): void;
  /** The sender's abort, what breaks the channel's rules, silence, a lost connection. Called at most once. */
  onBroken(error: ErrorBody): void;
}

/** The receiver's end of a channel. */
export interface ChannelReceiver {
  /** Bytes that arrived, and bytes that `zfs receive` took. */
  readonly received: number;
  readonly consumed: number;
  /** Grows as long as the other end is alive. */
  readonly progress: number;
  /** Hands what came, and what comes, to `zfs receive`. */
  attach(stdin: Writable): void;
  /** Closes `zfs receive`'s input behind the last byte. */
  finishInput(): void;
  /** Hands nothing more to `zfs receive`. */
  cutInput(): void;
  /** The final message: the snapshot is there. */
  done(result: { guid: string }): void;
  /** The final message: it is not. */
  failed(error: ErrorBody): void;
  close(): void;
}
