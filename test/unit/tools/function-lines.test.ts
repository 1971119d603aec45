import { expect, test } from 'vitest';
import { longFunctionsIn } from '../../../tools/function-lines.ts';

/** A body of so many lines, in which each line is the given one. */
const body = (lines: number, line: string): string => `{\n${`${line}\n`.repeat(lines - 2)}}`;

const call = 'run();';

test.each([
  ['a comment', '// why'],
  ['a blank line', ''],
  ['a line of code', call],
])('%s counts as a line', (_, line) => {
  expect(longFunctionsIn('a.ts', `function one() ${body(70, line)}`)).toEqual([]);
  expect(longFunctionsIn('a.ts', `function one() ${body(71, line)}`)).toEqual(['a.ts:1 one has 71 lines, at most 70']);
});

test.each([
  ['one', `async function one() ${body(71, call)}`],
  ['one', `const one = () => ${body(71, call)};`],
  ['one', `const one = function () ${body(71, call)};`],
  ['one', `const all = { one() ${body(71, call)} };`],
  ['one', `const all = { one: async () => ${body(71, call)} };`],
  ['one', `class All { one() ${body(71, call)} }`],
  ['one', `class All { #two = 2; one = () => ${body(71, call)} }`],
  ['one', `class All { get one() ${body(71, call)} }`],
  ['a function', `run(() => ${body(71, call)});`],
  ['a function', `class All { constructor() ${body(71, call)} }`],
])('the function %s is found in %s', (name, text) => {
  expect(longFunctionsIn('a.ts', text)).toEqual([`a.ts:1 ${name} has 71 lines, at most 70`]);
});

test('the lines of a signature count, and those of a docstring do not', () => {
  const signature = 'function one(\n  first: number,\n): void ';
  expect(longFunctionsIn('a.ts', `/**\n * Why.\n */\n${signature}${body(68, call)}\n`)).toEqual([]);
  expect(longFunctionsIn('a.ts', `/**\n * Why.\n */\n${signature}${body(69, call)}\n`)).toEqual([
    'a.ts:4 one has 71 lines, at most 70',
  ]);
});

test('the lines of a nested function are part of the outer one too', () => {
  const nested = `function outer() {\n  function inner() ${body(69, call)}\n}`;
  expect(longFunctionsIn('a.ts', nested)).toEqual(['a.ts:1 outer has 71 lines, at most 70']);
  const both = `function outer() {\n  function inner() ${body(71, call)}\n}`;
  expect(longFunctionsIn('a.ts', both)).toEqual([
    'a.ts:1 outer has 73 lines, at most 70',
    'a.ts:2 inner has 71 lines, at most 70',
  ]);
});

test('a file of many short functions, and a long literal, are fine', () => {
  const short = `function one() ${body(10, call)}\n`.repeat(20);
  expect(longFunctionsIn('a.ts', `${short}const all = [\n${'  1,\n'.repeat(100)}];\n`)).toEqual([]);
});
