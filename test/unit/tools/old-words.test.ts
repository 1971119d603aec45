import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { oldWordsIn, readOldWords } from '../../../tools/old-words.ts';

const words = readOldWords('# gone\nfoo: bar\nlast foo: final bar\n');

test.each([
  ['foo', 'a foo.'],
  ['foo', 'Foo is there'],
  ['foo', 'const fooOf = 1;'],
  ['foo', 'openFoo()'],
  ['foo', "import './foo-bar.ts';"],
  ['foo', 'const FOO = 1;'],
  ['foo', '`zfs/foo/x`'],
  ['last foo', 'the last foo'],
  ['last foo', 'last-foo.ts'],
  ['last foo', 'lastFooOf()'],
  ['last foo', 'class LastFoo {}'],
])('%s is found in %s', (word, text) => {
  expect(oldWordsIn('a.ts', `one\n${text}`, words).some((message) => message.startsWith(`a.ts:2: "${word}"`))).toBe(
    true,
  );
});

test.each(['food', 'barfoo', 'a seafood', 'elfoo', 'bar'])('nothing is found in %s', (text) => {
  expect(oldWordsIn('a.ts', text, words)).toEqual([]);
});

test('a message says what to write instead', () => {
  expect(oldWordsIn('a.ts', 'foo', words)).toEqual(['a.ts:1: "foo" is an old word; write: bar']);
});

test('a line that is no word with a better one is refused', () => {
  expect(() => readOldWords('foo\n')).toThrow(/^not a line/);
});

test('the list is sorted and names each word once', () => {
  const text = readFileSync(resolve(import.meta.dirname, '../../../tools/old-words.txt'), 'utf8');
  const listed = readOldWords(text).map(({ word }) => word);
  expect(listed).toEqual([...new Set(listed)].sort());
});
