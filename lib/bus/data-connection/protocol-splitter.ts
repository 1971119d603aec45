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

/**
 * Takes the claimed messages out of what a NATS server sends, and passes everything else on, byte for byte.
 * The client's own parser would copy each message; here nothing is copied.
 * Protocol: https://docs.nats.io/reference/reference-protocols/nats-protocol
 */
export function openProtocolSplitter(passOn: (bytes: Buffer) => void): ProtocolSplitter {
  const claims = new Map<number, RawSubscription>();
  /** The beginning of a line that a read cut off. */
  let line = '';
  /** Bytes of a claimed message still to come, and of its CRLF. */
  let payload = 0;
  let crlf = 0;
  let owner: RawSubscription | undefined;
  /** Bytes to pass on unread: an unclaimed message and its CRLF. */
  let skip = 0;

  /** The last line of a claimed message. In a stream nearly all are the same, which then need not be read again. */
  let last:
    | { readonly line: Buffer; readonly id: number; readonly claim: RawSubscription; readonly size: number }
    | undefined;

  function open(claim: RawSubscription, size: number): void {
    payload = size;
    crlf = 2;
    owner = claim;
    claim.begin(size);
  }

  /** Takes the line at `at` when it is the last one again; how long it is. */
  function again(bytes: Buffer, at: number): number {
    if (!last || line !== '' || claims.get(last.id) !== last.claim) return 0;
    const { length } = last.line;
    if (at + length > bytes.length || bytes.compare(last.line, 0, length, at, at + length) !== 0) return 0;
    open(last.claim, last.size);
    return length;
  }

  /** Reads one line without its newline; true when the bytes after it are a claimed message. */
  function control(text: string): boolean {
    const claimed = text.startsWith('MSG ');
    if (!claimed && !text.startsWith('HMSG ')) return false;
    const words = text.trimEnd().split(/\s+/);
    const size = Number(words.at(-1));
    const id = Number(words[2]);
    const claim = claimed ? claims.get(id) : undefined;
    if (!claim) {
      skip = size + 2;
      return false;
    }
    const subject = words[1] ?? '';
    if (subject === (claim.deliveredAs ?? claim.subject)) {
      last = { line: Buffer.from(text, 'latin1'), id, claim, size };
      open(claim, size);
      return true;
    }
    payload = size;
    crlf = 2;
    owner = undefined;
    claim.unexpected(subject);
    return true;
  }

  /** Reads on in a line, to its end if that is there; how many bytes. */
  function readLine(bytes: Buffer, at: number): number {
    const found = bytes.indexOf(newline, at);
    const end = found < 0 ? bytes.length : found + 1;
    line += bytes.toString('latin1', at, end);
    if (found >= 0) {
      const text = line;
      line = '';
      if (!control(text)) passOn(Buffer.from(text, 'latin1'));
    }
    return end - at;
  }

  function feed(bytes: Buffer, poolBuffer?: PoolBuffer): void {
    const touched = new Set<RawSubscription>();
    let at = 0;
    while (at < bytes.length) {
      if (payload > 0) {
        const end = Math.min(at + payload, bytes.length);
        if (owner) {
          owner.piece(bytes.subarray(at, end), poolBuffer);
          touched.add(owner);
        }
        payload -= end - at;
        at = end;
      } else if (crlf > 0) {
        const length = Math.min(crlf, bytes.length - at);
        crlf -= length;
        at += length;
      } else if (skip > 0) {
        const end = Math.min(at + skip, bytes.length);
        passOn(Buffer.from(bytes.subarray(at, end)));
        skip -= end - at;
        at = end;
      } else {
        at += again(bytes, at) || readLine(bytes, at);
      }
    }
    for (const claim of touched) claim.pause();
  }

  return { claims, feed };
}
