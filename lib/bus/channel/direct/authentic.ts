import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';

/**
 * Authenticators of a transfer's words: HMAC-SHA256, shortened to 16 bytes, over a counter and the word. Its key comes from random
 * bytes of both ends, which only `recv.start` and its answer carry, and is bound to the transfer and to who speaks. So no third party
 * makes a word, and none counts twice: not one of the same transfer, of another, or of the other direction.
 *
 *   tagged word   the word | counter, 8 bytes big-endian | tag, 16 bytes
 */
const counterBytes = 8;
const tagBytes = 16;
/** What a word grows by, in bytes. */
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

/** Tags the words of one speaker. */
export interface WordTagger {
  tag(word: Buffer): Buffer;
}

/** Checks the words of one speaker. */
export interface WordChecker {
  /** The word without its trailer; undefined for one that its speaker did not tag, or that counted before. */
  check(tagged: Buffer): Buffer | undefined;
}

const tagOf = (key: Buffer, counted: Buffer): Buffer =>
  createHmac('sha256', key).update(counted).digest().subarray(0, tagBytes);

export function openTagger(key: Buffer): WordTagger {
  let count = 0;
  return {
    tag(word) {
      count += 1;
      const counted = Buffer.alloc(word.length + counterBytes);
      word.copy(counted);
      counted.writeBigUInt64BE(BigInt(count), word.length);
      return Buffer.concat([counted, tagOf(key, counted)]);
    },
  };
}

/** NATS keeps the order of one publisher, and may lose a word: each counter has to be above all before it. */
export function openChecker(key: Buffer): WordChecker {
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

/** A word that any of several speakers may have sent. */
export const checkerOf = (checkers: readonly WordChecker[]): WordChecker => ({
  check(tagged) {
    for (const checker of checkers) {
      const word = checker.check(tagged);
      if (word) return word;
    }
    return undefined;
  },
});

/** A word of text and its trailer as a line behind it, for messages that are text. */
export function tagText(tagger: WordTagger, text: string): string {
  const trailer = tagger.tag(Buffer.from(text)).subarray(-trailerBytes);
  return `${text}\n${trailer.toString('base64url')}`;
}

/** The text of a tagged word of text; undefined for one that does not count. */
export function checkText(checker: WordChecker, tagged: string): string | undefined {
  const end = tagged.lastIndexOf('\n');
  if (end < 0) return undefined;
  const trailer = Buffer.from(tagged.slice(end + 1), 'base64url');
  return checker.check(Buffer.concat([Buffer.from(tagged.slice(0, end)), trailer]))?.toString();
}

/** Which transfer words are of; hosts and id. */
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

/** How one end of a transfer speaks, and hears the other. */
export interface Words {
  readonly own: WordTagger;
  readonly peer: WordChecker;
}

type Speaker = 'source' | 'target' | 'request';

const keyOf = (speaker: Speaker, secrets: readonly string[], { source, target, transfer }: TransferName): Buffer =>
  keyFrom(secrets, [speaker, source, target, transfer]);

export const wordsOfSource = (name: TransferName, secrets: TransferSecrets): Words => ({
  own: openTagger(keyOf('source', [secrets.source, secrets.target], name)),
  peer: openChecker(keyOf('target', [secrets.source, secrets.target], name)),
});

/** A source that got no answer may take its request back, with its own secret alone. */
export const taggerOfRequest = (name: TransferName, secret: string): WordTagger =>
  openTagger(keyOf('request', [secret], name));

export const wordsOfTarget = (name: TransferName, secrets: TransferSecrets): Words => ({
  own: openTagger(keyOf('target', [secrets.source, secrets.target], name)),
  peer: checkerOf([
    openChecker(keyOf('source', [secrets.source, secrets.target], name)),
    openChecker(keyOf('request', [secrets.source], name)),
  ]),
});
