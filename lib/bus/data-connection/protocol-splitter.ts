import type { Msg } from '@nats-io/transport-node';
import type { PoolBuffer } from './buffer-pool.ts';

/** Receives the messages of one subscription as they arrive, in pieces, without a copy. */
export interface RawSubscription {
  /** The subject of the subscription. */
  readonly subject: string;
  /** The subject on the wire, if it differs: a consumer delivers under the stored subject. */
  readonly deliveredAs?: string;
  /** A message of `length` bytes begins. */
  begin(length: number): void;
  /** The next bytes of the message. They are valid until this returns, or as long as the pool buffer is retained. */
  piece(bytes: Buffer, poolBuffer: PoolBuffer | undefined): void;
  /** This read has no more bytes for it. */
  pause(): void;
  /** A message with another subject, without its bytes; or a message with headers, as a whole. */
  unexpected(subject: string, message?: Msg): void;
}

export interface ProtocolSplitter {
  /** By subscription id. */
  readonly subscriptions: Map<number, RawSubscription>;
  /** Takes the bytes of one read from the socket. */
  feed(bytes: Buffer, poolBuffer?: PoolBuffer): void;
}

const newline = 0x0a;
const crlfBytes = 2;

/** Joins the lines that reads cut off. */
function openLines() {
  let begun = '';
  return {
    get isBegun(): boolean {
      return begun !== '';
    },
    /** Reads the rest of a line, as far as it is there. @returns the bytes read, and the line if it is complete */
    read(bytes: Buffer, at: number): { readonly length: number; readonly line?: string } {
      const found = bytes.indexOf(newline, at);
      const end = found < 0 ? bytes.length : found + 1;
      begun += bytes.toString('latin1', at, end);
      if (found < 0) return { length: end - at };
      const line = begun;
      begun = '';
      return { length: end - at, line };
    },
  };
}

interface LastLine {
  readonly line: Buffer;
  readonly id: number;
  readonly subscription: RawSubscription;
  readonly size: number;
}

/** The first line of a message; undefined for any other line. */
function parseMessageLine(line: string) {
  const hasHeaders = line.startsWith('HMSG ');
  if (!hasHeaders && !line.startsWith('MSG ')) return undefined;
  const words = line.trimEnd().split(/\s+/);
  return { subject: words[1] ?? '', id: Number(words[2]), size: Number(words.at(-1)), hasHeaders };
}

/**
 * Gives the messages of raw subscriptions to them, and passes all other bytes from the server on to the client's parser, unchanged.
 * That parser would copy each message; here nothing is copied.
 * Protocol: https://docs.nats.io/reference/reference-protocols/nats-protocol
 */
export function openProtocolSplitter(passOn: (bytes: Buffer) => void): ProtocolSplitter {
  const subscriptions = new Map<number, RawSubscription>();
  const lines = openLines();
  /** Bytes of a message that are still to come, its CRLF included. */
  let left = 0;
  /** The receiver of these bytes; undefined if they are dropped. */
  let owner: RawSubscription | 'client' | undefined;

  /** The last MSG line of a raw subscription. In a stream the lines repeat, so a repeated line is not parsed again. */
  let last: LastLine | undefined;

  function open(subscription: RawSubscription, size: number): void {
    left = size + crlfBytes;
    owner = subscription;
    subscription.begin(size);
  }

  /** If the last line repeats at `at`, opens its message. @returns the line's length, or 0 */
  function sameLine(bytes: Buffer, at: number): number {
    if (!last || lines.isBegun || subscriptions.get(last.id) !== last.subscription) return 0;
    const { length } = last.line;
    if (at + length > bytes.length || bytes.compare(last.line, 0, length, at, at + length) !== 0) return 0;
    open(last.subscription, last.size);
    return length;
  }

  /** Takes one line. @returns true if the bytes after it are a message that the client does not get */
  function control(line: string): boolean {
    const message = parseMessageLine(line);
    if (!message) return false;
    const { subject, id, size, hasHeaders } = message;
    const subscription = hasHeaders ? undefined : subscriptions.get(id);
    if (subscription && subject === (subscription.deliveredAs ?? subscription.subject)) {
      last = { line: Buffer.from(line, 'latin1'), id, subscription, size };
      open(subscription, size);
      return true;
    }
    left = size + crlfBytes;
    owner = subscription ? undefined : 'client';
    subscription?.unexpected(subject);
    return subscription !== undefined;
  }

  /** Reads the rest of a line, as far as it is there. @returns the bytes read */
  function readLine(bytes: Buffer, at: number): number {
    const { length, line } = lines.read(bytes, at);
    if (line !== undefined && !control(line)) passOn(Buffer.from(line, 'latin1'));
    return length;
  }

  function feed(bytes: Buffer, poolBuffer?: PoolBuffer): void {
    const touched = new Set<RawSubscription>();
    for (let at = 0; at < bytes.length; ) {
      if (left > 0) {
        const end = Math.min(at + left, bytes.length);
        const payloadEnd = Math.min(at + left - crlfBytes, bytes.length);
        if (owner === 'client') passOn(Buffer.from(bytes.subarray(at, end)));
        else if (owner && payloadEnd > at) {
          owner.piece(bytes.subarray(at, payloadEnd), poolBuffer);
          touched.add(owner);
        }
        left -= end - at;
        at = end;
      } else at += sameLine(bytes, at) || readLine(bytes, at);
    }
    for (const subscription of touched) subscription.pause();
  }

  return { subscriptions, feed };
}
