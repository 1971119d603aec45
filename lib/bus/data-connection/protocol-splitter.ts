import type { Msg } from '@nats-io/transport-node';
import type { PoolBuffer } from './buffer-pool.ts';

/** Who takes the messages of one subscription as they come off the socket, in pieces and uncopied. */
export interface RawSubscription {
  /** The subject whose messages it takes. */
  readonly subject: string;
  /** The subject that they bear, where it is another one: a consumer delivers under the subject that is stored. */
  readonly deliveredAs?: string;
  /** A message of `length` bytes begins. */
  begin(length: number): void;
  /** The next bytes of the message. They are valid until this returns, or as long as the pool buffer is retained. */
  piece(bytes: Buffer, poolBuffer: PoolBuffer | undefined): void;
  /** No more in this read. */
  pause(): void;
  /** A message that names another subject; or one with headers, which comes whole. */
  unexpected(subject: string, message?: Msg): void;
}

export interface ProtocolSplitter {
  /** By subscription id. */
  readonly claims: Map<number, RawSubscription>;
  /** Takes what was read from the socket. */
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
    /** Reads on in a line. @returns how many bytes, and the whole line if its end is there */
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
  readonly claim: RawSubscription;
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
 * Takes the claimed messages out of what a NATS server sends, and passes everything else on, byte for byte.
 * The client's own parser would copy each message; here nothing is copied.
 * Protocol: https://docs.nats.io/reference/reference-protocols/nats-protocol
 */
export function openProtocolSplitter(passOn: (bytes: Buffer) => void): ProtocolSplitter {
  const claims = new Map<number, RawSubscription>();
  const lines = openLines();
  /** Bytes of a message that are still to come, its CRLF included. */
  let left = 0;
  /** Who takes them; undefined where they are dropped. */
  let owner: RawSubscription | 'client' | undefined;

  /** The last line of a claimed message. In a stream nearly all are the same, which then need not be read again. */
  let last: LastLine | undefined;

  function open(claim: RawSubscription, size: number): void {
    left = size + crlfBytes;
    owner = claim;
    claim.begin(size);
  }

  /** Takes the line at `at` when it is the last one again; how long it is. */
  function again(bytes: Buffer, at: number): number {
    if (!last || lines.isBegun || claims.get(last.id) !== last.claim) return 0;
    const { length } = last.line;
    if (at + length > bytes.length || bytes.compare(last.line, 0, length, at, at + length) !== 0) return 0;
    open(last.claim, last.size);
    return length;
  }

  /** Takes one line; true when the bytes after it are a claimed message. */
  function control(line: string): boolean {
    const message = parseMessageLine(line);
    if (!message) return false;
    const { subject, id, size, hasHeaders } = message;
    const claim = hasHeaders ? undefined : claims.get(id);
    if (claim && subject === (claim.deliveredAs ?? claim.subject)) {
      last = { line: Buffer.from(line, 'latin1'), id, claim, size };
      open(claim, size);
      return true;
    }
    left = size + crlfBytes;
    owner = claim ? undefined : 'client';
    claim?.unexpected(subject);
    return claim !== undefined;
  }

  /** Reads on in a line; how many bytes. */
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
      } else at += again(bytes, at) || readLine(bytes, at);
    }
    for (const claim of touched) claim.pause();
  }

  return { claims, feed };
}
