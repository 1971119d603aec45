import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** A forbidden word, and its replacement. */
export interface OldWord {
  readonly word: string;
  readonly better: string;
}

/** Reads `word: better` lines; a line that begins with # is a comment. */
export function readOldWords(text: string): OldWord[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'));
  return lines.map((line) => {
    const [, word, better] = /^([a-z][a-z ]*): (.+)$/.exec(line) ?? [];
    if (word === undefined || better === undefined) throw new Error(`not a line "word: better": ${line}`);
    return { word, better };
  });
}

/** In prose, in `kebab-case`, and as a part of `camelCase`: `last words` finds `last-words` and `lastWords`. */
function patternOf(word: string): RegExp {
  const parts = word.split(' ');
  const capital = (part: string): string => part.charAt(0).toUpperCase() + part.slice(1);
  const prose = `(?<![A-Za-z])${parts.map((part) => `[${part[0]}${capital(part)[0]}]${part.slice(1)}`).join('[ -]')}`;
  const camel = `(?<![A-Za-z])${parts[0]}${parts.slice(1).map(capital).join('')}`;
  const pascal = parts.map(capital).join('');
  return new RegExp(`(?:${prose}|${camel}|${pascal}|(?<![A-Za-z])${parts.join('_').toUpperCase()})(?![a-z])`);
}

/** Where old words stand in a text, a message for each. */
export function oldWordsIn(path: string, text: string, words: readonly OldWord[]): string[] {
  const patterns = words.map(({ word, better }) => ({ word, better, pattern: patternOf(word) }));
  return text
    .split('\n')
    .flatMap((line, index) =>
      patterns
        .filter(({ pattern }) => pattern.test(line))
        .map(({ word, better }) => `${path}:${index + 1}: "${word}" is an old word; write: ${better}`),
    );
}

const skipped = /(^|\/)(node_modules|dist|\.git|\.cache|fixtures|decisions)$|^CHANGELOG\.md$|old-words/;

if (import.meta.main) {
  const root = resolve(import.meta.dirname, '..');
  const words = readOldWords(readFileSync(join(import.meta.dirname, 'old-words.txt'), 'utf8'));
  const files = globSync(['**/*.{ts,md}', '.ci/*.ts'], { cwd: root, exclude: (path) => skipped.test(path) });
  const found = files.sort().flatMap((path) => oldWordsIn(path, readFileSync(join(root, path), 'utf8'), words));
  for (const message of found) console.error(message);
  process.exitCode = found.length > 0 ? 1 : 0;
}
