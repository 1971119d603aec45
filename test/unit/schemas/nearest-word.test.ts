import { expect, test } from 'vitest';
import { nearestWords } from '../../../schemas/nearest-word.ts';

const known = ['receive', 'send', 'timing', 'key', 'nkey', 'maxConcurrent', 'to'];

test.each<[string, string[]]>([
  ['recieve', ['receive']],
  ['recv', []],
  ['sned', ['send']],
  ['Receive', ['receive']],
  ['max_concurent', ['maxConcurrent']],
  ['xkey', ['key', 'nkey']],
  ['t', ['to']],
  ['', []],
  ['policies', []],
])('%j means %j', (word, meant) => expect(nearestWords(word, known)).toEqual(meant));
