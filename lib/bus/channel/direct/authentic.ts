import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';

/**
 * Authenticators of a transfer's control messages: HMAC-SHA256, shortened to 16 bytes, over a counter and the message. The key is made
 * from random bytes of both ends, which only `recv.start` and its answer contain, and is bound to the transfer and to the end that
 * sends. So no third party can make a control message, and none counts twice, in this transfer, another one or the other direction.
 *
 *   tagged message   the message | counter, 8 bytes big-endian | tag, 16 bytes
 */
const counterBytes = 8;
const tagBytes = 16;
/** What a control message grows by, in bytes. */
export const trailerBytes = counterBytes + tagBytes;

const secretBytes = 32;
const keyBytes = 32;
/** Names what the keys are for, and which way of making them this is. */
const label = 'zpsend words 1';

/** Random bytes for one `recv.start` or one answer, as `secretSchema` has them. */
export const newSecret = (): string => randomBytes(secretBytes).toString('base64url');

/**
 * HKDF-SHA256 without salt.
 * @param secrets of all who have one, in a fixed order
 * @param scope what the key is for; none of it holds a line break
 */
export function keyFrom(secrets: readonly string[], scope: readonly string[]): Buffer {
  const input = Buffer.concat(secrets.map((secret) => Buffer.from(secret, 'base64url')));
  return Buffer.from(hkdfSync('sha256', input, '', [label, ...scope].join('\n'), keyBytes));
}

/** Tags the control messages of one end. */
export interface Tagger {
  tag(message: Buffer): Buffer;
}

/** Checks the control messages of one end. */
export interface Checker {
  /** The message without its trailer; undefined for one that the other end did not tag, or that counted before. */
  check(tagged: Buffer): Buffer | undefined;
}

const tagOf = (key: Buffer, counted: Buffer): Buffer =>
  createHmac('sha256', key).update(counted).digest().subarray(0, tagBytes);

export function openTagger(key: Buffer): Tagger {
  let count = 0;
  return {
    tag(message) {
      count += 1;
      const counted = Buffer.alloc(message.length + counterBytes);
      message.copy(counted);
      counted.writeBigUInt64BE(BigInt(count), message.length);
      return Buffer.concat([counted, tagOf(key, counted)]);
    },
  };
}

/** NATS keeps the order of one publisher, and may lose a control message: each counter has to be above all before it. */
export function openChecker(key: Buffer): Checker {
  let last = 0n;
  return {
    check(tagged) {
      const length = tagged.length - trailerBytes;
      if (length < 0) return undefined;
      const counted = tagged.subarray(0, length + counterBytes);
      if (!timingSafeEqual(tagOf(key, counted), tagged.subarray(length + counterBytes))) return undefined;
      const count = tagged.readBigUInt64BE(length);
      if (count <= last) return undefined;
      last = count;
      return tagged.subarray(0, length);
    },
  };
}

/** Accepts the control messages of several senders. */
export const checkerOf = (checkers: readonly Checker[]): Checker => ({
  check(tagged) {
    for (const checker of checkers) {
      const message = checker.check(tagged);
      if (message) return message;
    }
    return undefined;
  },
});

/** A control message that is text, with its trailer as a line behind it. */
export function tagText(tagger: Tagger, text: string): string {
  const trailer = tagger.tag(Buffer.from(text)).subarray(-trailerBytes);
  return `${text}\n${trailer.toString('base64url')}`;
}

/** The text without its trailer; undefined for one that does not count. */
export function checkText(checker: Checker, tagged: string): string | undefined {
  const end = tagged.lastIndexOf('\n');
  if (end < 0) return undefined;
  const trailer = Buffer.from(tagged.slice(end + 1), 'base64url');
  return checker.check(Buffer.concat([Buffer.from(tagged.slice(0, end)), trailer]))?.toString();
}

/** The transfer of control messages: its hosts and its id. */
export interface TransferName {
  readonly source: string;
  readonly target: string;
  readonly transfer: string;
}

/** The secrets of both ends of a transfer. */
export interface TransferSecrets {
  /** Of the source, from `recv.start`. */
  readonly source: string;
  /** Of the target, from the answer. */
  readonly target: string;
}

/** How one end of a transfer tags its messages, and checks those of the other. */
export interface Authentication {
  readonly own: Tagger;
  readonly peer: Checker;
}

type From = 'source' | 'target' | 'request';

const keyOf = (from: From, secrets: readonly string[], { source, target, transfer }: TransferName): Buffer =>
  keyFrom(secrets, [from, source, target, transfer]);

export const authenticationOfSource = (name: TransferName, secrets: TransferSecrets): Authentication => ({
  own: openTagger(keyOf('source', [secrets.source, secrets.target], name)),
  peer: openChecker(keyOf('target', [secrets.source, secrets.target], name)),
});

/** A source that got no answer may take its request back, with its own secret alone. */
export const taggerOfRequest = (name: TransferName, secret: string): Tagger =>
  openTagger(keyOf('request', [secret], name));

export const authenticationOfTarget = (name: TransferName, secrets: TransferSecrets): Authentication => ({
  own: openTagger(keyOf('target', [secrets.source, secrets.target], name)),
  peer: checkerOf([
    openChecker(keyOf('source', [secrets.source, secrets.target], name)),
    openChecker(keyOf('request', [secrets.source], name)),
  ]),
});
