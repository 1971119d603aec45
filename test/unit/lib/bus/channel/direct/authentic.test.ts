import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  authenticationOfSource,
  authenticationOfTarget,
  checkerOf,
  checkText,
  keyFrom,
  newSecret,
  openChecker,
  openTagger,
  taggerOfRequest,
  tagText,
  trailerBytes,
} from '../../../../../../lib/bus/channel/direct/authentic.ts';
import { secretSchema } from '../../../../../../schemas/transfer.ts';

const name = { source: 'smos-01', target: 'smos-00', transfer: 'abcdefghijt1' };
/** Bytes 0 to 31, and 32 to 63. */
const secrets = {
  source: 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8',
  target: 'ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8',
};
const key = keyFrom([secrets.source], ['source', 'smos-01']);
const ping = Buffer.from('030000000000000000', 'hex');
const other = (secret: string): string => `B${secret.slice(1)}`;

describe('known vectors, made with another implementation of HKDF and HMAC', () => {
  test('of keys', () => {
    const scope = (speaker: string) => [speaker, name.source, name.target, name.transfer];
    const both = [secrets.source, secrets.target];
    expect(keyFrom(both, scope('source')).toString('hex')).toBe(
      '1a9ddda8ef291c6b9530f5d63143bf12f347c0697dcf8fd1c28e18ff36136372',
    );
    expect(keyFrom(both, scope('target')).toString('hex')).toBe(
      '485df1b6843ed0775690ed9da29c32c372e6a693fb3e66be67fefe4457da9d88',
    );
  });

  test('of control messages', () => {
    expect(authenticationOfSource(name, secrets).own.tag(ping).toString('hex')).toBe(
      '030000000000000000000000000000000132ee3a0efbe4dbc07b644a8b0f90b54f',
    );
    expect(taggerOfRequest(name, secrets.source).tag(ping).toString('hex')).toBe(
      '03000000000000000000000000000000015f9aa4928408dc6ab47f814ca61008bd',
    );
    const target = authenticationOfTarget(name, secrets).own;
    expect(tagText(target, 'the first')).toContain('the first\n');
    expect(tagText(target, '{"type":"credit","upTo":7}')).toBe(
      '{"type":"credit","upTo":7}\nAAAAAAAAAAL1dGUe0H9FxRsot-wGcvJX',
    );
  });
});

describe('a control message', () => {
  test('of either end is accepted by the other end, also as text', () => {
    const [source, target] = [authenticationOfSource(name, secrets), authenticationOfTarget(name, secrets)];
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.string({ unit: 'grapheme' }), (bytes, text) => {
        const word = Buffer.from(bytes);
        expect(target.peer.check(source.own.tag(word))).toEqual(word);
        expect(source.peer.check(target.own.tag(word))).toEqual(word);
        expect(checkText(source.peer, tagText(target.own, text))).toBe(text);
      }),
    );
  });

  test('counts once, and not after a later one; a lost one does not matter', () => {
    const [tagger, checker] = [openTagger(key), openChecker(key)];
    const [first, second, third, fourth] = Array.from({ length: 4 }, () => tagger.tag(ping));
    const counts = (word: Buffer | undefined) => word && checker.check(word) !== undefined;
    expect([first, first, third, second, third, first, fourth].map(counts)).toEqual(
      [true, false, true, false, false, false, true], // biome-ignore format: one row
    );
  });

  test('with a flipped bit, or of another length, is ignored', () => {
    const tagged = openTagger(key).tag(Buffer.from('{"type":"done"}'));
    const checker = openChecker(key);
    for (let bit = 0; bit < tagged.length * 8; bit += 1) {
      const flipped = Buffer.from(tagged);
      flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(checker.check(flipped)).toBeUndefined();
    }
    for (let length = 0; length < tagged.length; length += 1)
      expect(checker.check(tagged.subarray(0, length))).toBeUndefined();
    expect(checker.check(Buffer.concat([tagged, Buffer.alloc(1)]))).toBeUndefined();
    expect(checker.check(tagged)?.toString()).toBe('{"type":"done"}');
  });

  test.each([
    ['of another transfer', { ...name, transfer: 'abcdefghijt2' }, secrets],
    ['of another source', { ...name, source: 'smos-02' }, secrets],
    ['of another target', { ...name, target: 'smos-02' }, secrets],
    ['with another secret of the source', name, { ...secrets, source: other(secrets.source) }],
    ['with another secret of the target', name, { ...secrets, target: other(secrets.target) }],
  ])('%s is ignored by both ends', (_what, otherName, otherSecrets) => {
    const [source, target] = [
      authenticationOfSource(otherName, otherSecrets),
      authenticationOfTarget(otherName, otherSecrets),
    ];
    expect(authenticationOfTarget(name, secrets).peer.check(source.own.tag(ping))).toBeUndefined();
    expect(authenticationOfSource(name, secrets).peer.check(target.own.tag(ping))).toBeUndefined();
  });

  test('is ignored by the end that sent it', () => {
    const [source, target] = [authenticationOfSource(name, secrets), authenticationOfTarget(name, secrets)];
    expect(source.peer.check(source.own.tag(ping))).toBeUndefined();
    expect(target.peer.check(target.own.tag(ping))).toBeUndefined();
  });

  test('of a source without the reply is authenticated by its own secret only', () => {
    const target = authenticationOfTarget(name, secrets);
    expect(target.peer.check(taggerOfRequest(name, secrets.source).tag(ping))).toEqual(ping);
    expect(target.peer.check(taggerOfRequest(name, other(secrets.source)).tag(ping))).toBeUndefined();
  });

  test.each(['', 'a', '\n', '{"type":"credit","upTo":7}', '{}\nAAAA', `{}\n${'A'.repeat(32)}`])(
    '%j of text without a right trailer does not count',
    (text) => expect(checkText(openChecker(key), text)).toBeUndefined(),
  );

  test('of one of several senders counts once', () => {
    const keys = [key, keyFrom([secrets.target], ['source', 'smos-01'])];
    const checker = checkerOf(keys.map(openChecker));
    for (const one of keys) {
      const tagged = openTagger(one).tag(ping);
      expect([tagged, tagged].map((word) => checker.check(word)?.length)).toEqual([ping.length, undefined]);
      expect(tagged).toHaveLength(ping.length + trailerBytes);
    }
  });
});

test('secrets are 32 random bytes in the form of a request', () => {
  const made = Array.from({ length: 100 }, newSecret);
  expect(new Set(made).size).toBe(100);
  for (const secret of made) expect(secretSchema.parse(secret)).toBe(secret);
  expect(Buffer.from(newSecret(), 'base64url')).toHaveLength(32);
});
