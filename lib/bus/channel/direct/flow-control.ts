import type { FrameHeader } from './frame.ts';

/** How a frame broke the rules of the channel. */
export type Violation = 'gap' | 'beyond-credit' | 'after-end' | 'total-mismatch' | 'malformed';

/** The receiver's account of a stream; all figures in bytes since its beginning. */
export interface ReceiveWindow {
  readonly received: number;
  /** Handed to `zfs receive`. */
  readonly consumed: number;
  /** How far the sender may send. */
  readonly granted: number;
  readonly ended: boolean;
  /** Takes account of a frame with a body of `length` bytes, or returns how it breaks the rules. */
  accept(header: FrameHeader, length: number): Violation | undefined;
  /** Takes account of bytes handed on; true when the sender should get a new grant, once per quarter of a window. */
  consume(bytes: number): boolean;
  /** Is there more to grant? */
  readonly owes: boolean;
  /** Moves the grant up to a window beyond what was consumed, by at most so many bytes, and returns it. */
  grant(most?: number): number;
}

/** Opens an account that never lets more than `window` bytes be under way (I8). */
export function openReceiveWindow(window: number): ReceiveWindow {
  let received = 0;
  let consumed = 0;
  let granted = 0;
  let ended = false;

  function accept(header: FrameHeader, length: number): Violation | undefined {
    if (header.type === 'abort') return undefined;
    // a ping follows the data on one connection: a loss, between servers for example, shows in its offset
    if (header.type === 'ping') return length > 0 ? 'malformed' : header.offset === received ? undefined : 'gap';
    if (ended && isSameEnd(header, length)) return undefined;
    if (ended) return 'after-end';
    if (header.type === 'end') {
      if (length > 0) return 'malformed';
      if (header.offset !== received) return 'total-mismatch';
      ended = true;
      return undefined;
    }
    if (length === 0) return 'malformed';
    if (header.offset !== received) return 'gap';
    if (header.offset + length > granted) return 'beyond-credit';
    received += length;
    return undefined;
  }

  /** An end is repeated until it is answered. */
  const isSameEnd = ({ type, offset }: FrameHeader, length: number): boolean =>
    type === 'end' && offset === received && length === 0;

  return {
    get received() {
      return received;
    },
    get consumed() {
      return consumed;
    },
    get granted() {
      return granted;
    },
    get ended() {
      return ended;
    },
    accept,
    consume(bytes) {
      consumed += bytes;
      return consumed + window - granted >= window / 4;
    },
    get owes() {
      return granted < consumed + window;
    },
    grant(most = window) {
      granted = Math.min(consumed + window, granted + most);
      return granted;
    },
  };
}

/** The sender's account; all figures in bytes since the stream's beginning. */
export interface SendWindow {
  readonly sent: number;
  /** What the receiver is known to have handed on. */
  readonly consumed: number;
  /** How far it has granted. */
  readonly credit: number;
  /** What may be sent now. Zero until the receiver has spoken. */
  readonly room: number;
  /** The receiver grants up to a cumulative offset; an older or repeated grant changes nothing. */
  granted(upTo: number): void;
  take(bytes: number): void;
  /** So many of the bytes taken were written to the connection. */
  flushed(bytes: number): void;
}

export function openSendWindow(window: number): SendWindow {
  let sent = 0;
  let credit = 0;
  let unwritten = 0;
  return {
    get sent() {
      return sent;
    },
    get consumed() {
      return Math.min(sent, Math.max(0, credit - window));
    },
    get credit() {
      return credit;
    },
    get room() {
      // no more than a window waits in this process, even where a receiver grants more
      return Math.min(credit - sent, window - unwritten);
    },
    granted(upTo) {
      credit = Math.max(credit, upTo);
    },
    take(bytes) {
      sent += bytes;
      unwritten += bytes;
    },
    flushed(bytes) {
      unwritten -= bytes;
    },
  };
}
