import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../../..');

interface Row {
  number: number;
  text: string;
  tests: { file: string; title: string }[];
}

/** The rows of the table: a number first, and tests as `file`: title. */
const rows: Row[] = readFileSync(join(root, 'docs/design/edge-cases.md'), 'utf8')
  .split('\n')
  .filter((line) => /^\| *\d+ *\|/.test(line))
  .map((line) => ({
    number: Number(/\d+/.exec(line)?.[0]),
    text: line,
    tests: [...line.matchAll(/`(test\/[^`]+)`: ([^|<]+)/g)].map(([, file = '', title = '']) => ({
      file,
      title: title.trim(),
    })),
  }));

/** `edge case 5: ...` or `edge cases 5, 6: ...` */
const numbersOf = (title: string): number[] =>
  (/^edge cases? ([\d, ]+): /.exec(title)?.[1] ?? '')
    .split(',')
    .map(Number)
    .filter((number) => number > 0);

/** Titles of tests that name an edge case, with their files. */
const titled = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.ts') && !name.endsWith('edge-cases.md'))
  .flatMap((name) => {
    const file = `test/${name}`;
    const text = readFileSync(join(root, file), 'utf8');
    return [...text.matchAll(/^ *(?:it|test)(?:\.\w+\([^\n]*\))?\(\n? *(['"`])(edge cases? .*?)\1,/gm)].map(
      ([, , title = '']) => ({ file, title }),
    );
  });

describe('docs/design/edge-cases.md', () => {
  it('numbers its rows from 1, in order', () => {
    const numbers = rows.map(({ number }) => number);
    expect(numbers.length).toBeGreaterThan(0);
    expect(numbers).toEqual(numbers.map((_, at) => at + 1));
  });

  it.each(rows)('names a test for case $number', ({ tests }) => {
    expect(tests.length).toBeGreaterThan(0);
  });

  it.each(rows.flatMap(({ number, tests }) => tests.map((test) => ({ number, ...test }))))(
    'case $number: $file has "$title"',
    ({ number, file, title }) => {
      expect(numbersOf(title)).toContain(number);
      expect(readFileSync(join(root, file), 'utf8')).toContain(title);
    },
  );

  it.each(titled)('names $file: $title', ({ file, title }) => {
    for (const number of numbersOf(title)) {
      const row = rows.find((row) => row.number === number);
      expect(row?.tests, `case ${number}`).toContainEqual({ file, title });
    }
  });
});
