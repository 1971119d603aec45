import { globSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { sentencesOf, wordsOf } from '../../support/docs/sentences.ts';

const root = join(import.meta.dirname, '../../..');
const pages = ['README.md', ...globSync('docs/{getting-started,guides,moving-from}/*.md', { cwd: root }).sort()];

test('sentences are found in text, not in blocks, tables, headings and comments', () => {
  const page = [
    '# A title. With a full stop',
    'One sentence of six words, `a.b c` too. Is this',
    'another? Yes: **it** is [a link](a/b.md).',
    '',
    '- An item, for example 1.5 of it',
    '- Another item.',
    '',
    '```console',
    'smos-01# zpsend hosts. And more.',
    '```',
    '| a | b. c |',
    '<!-- run',
    'smos-01# zfs list',
    '-->',
    'The end (see e.g. this).',
  ].join('\n');
  expect(sentencesOf(page)).toEqual([
    'One sentence of six words, code too.',
    'Is this another?',
    'Yes: it is a link.',
    'An item, for example 1.5 of it',
    'Another item.',
    'The end (see e.g. this).',
  ]);
  expect(wordsOf('Is this another?')).toBe(3);
});

test.each(pages)('%s has short sentences: 18 words on average, none over 25', (page) => {
  const sentences = sentencesOf(readFileSync(join(root, page), 'utf8'));
  expect(sentences.filter((sentence) => wordsOf(sentence) > 25)).toEqual([]);
  const words = sentences.reduce((sum, sentence) => sum + wordsOf(sentence), 0);
  expect(words / Math.max(1, sentences.length)).toBeLessThanOrEqual(18);
});

test('README.md is at most 6 KB', () => expect(statSync(join(root, 'README.md')).size).toBeLessThanOrEqual(6 * 1024));
