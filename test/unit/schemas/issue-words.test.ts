import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { z } from 'zod';
import { configSchema } from '../../../schemas/config.ts';
import { fleetFileSchema } from '../../../schemas/fleet.ts';
import { faultOf, faultWords } from '../../../schemas/issue-words.ts';
import { nearestWords } from '../../../schemas/nearest-word.ts';
import { keyPaths, keysAt, type Path } from '../../../schemas/schema-keys.ts';
import { mentions } from '../../support/mentions.ts';

/** A value that has only the key of this path. */
const valueAt = (path: Path): unknown =>
  path.reduceRight<unknown>((inner, key) => (typeof key === 'number' ? [inner] : { [key]: inner }), 1);

const wordsOf = (schema: z.ZodType, value: unknown): string => {
  const { error } = schema.safeParse(value, { reportInput: true });
  return (error?.issues ?? []).map((issue) => faultWords(faultOf(issue, schema))).join('\n');
};

/** One inserted, deleted, replaced or swapped letter. */
const misspelling = (key: string): fc.Arbitrary<string> => {
  const letter = fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz');
  return fc.tuple(fc.nat(key.length - 1), letter, fc.nat(3)).map(([at, other, kind]) => {
    const [before, here, after] = [key.slice(0, at), key[at] ?? '', key.slice(at + 1)];
    if (kind === 0) return before + other + here + after;
    if (kind === 1) return before + after;
    if (kind === 2) return before + other + after;
    return before + after.slice(0, 1) + here + after.slice(1);
  });
};

describe.each([
  ['configuration', configSchema, 60],
  ['fleet', fleetFileSchema, 35],
] as const)('the keys of a %s', (_, schema, least) => {
  const paths = keyPaths(schema);

  test('are all found, also in lists and records', () => {
    expect(paths.length).toBeGreaterThan(least);
    for (const path of paths) expect(keysAt(schema, path.slice(0, -1))).toContain(path.at(-1));
  });

  test('are named for each of them that is misspelt by one letter', () => {
    const cases = fc
      .constantFrom(...paths)
      .chain((path) => fc.tuple(fc.constant(path), misspelling(String(path.at(-1)))));
    fc.assert(
      fc.property(cases, ([path, misspelt]) => {
        const [above, key] = [path.slice(0, -1), String(path.at(-1))];
        const known = keysAt(schema, above);
        fc.pre(misspelt !== '' && !known.includes(misspelt));
        expect(nearestWords(misspelt, known)).toContain(key);
        expect(wordsOf(schema, valueAt([...above, misspelt]))).toEqual(mentions(`"${misspelt}"`, key));
      }),
      { numRuns: 2000 },
    );
  });
});

test.each<[object, (string | number)[]]>([
  [{ recieve: {} }, ['"recieve"', 'did you mean receive?']],
  [{ receive: { maxConcurent: 1 } }, ['receive', 'did you mean maxConcurrent?']],
  [{ receive: { allow: [{ from: 'a', inot: 'b' }] } }, ['receive.allow.0', 'did you mean into?']],
  [{ send: { policies: [{ dataset: 'a/b', to: 'c', exlude: [] }] } }, ['send.policies.0', 'did you mean exclude?']],
  [{ send: { policies: [{ dataset: 'a/b', to: { host: 'c', datset: 'd' } }] } }, ['did you mean dataset?']],
  [{ maxConcurrent: 4 }, ['did you mean receive.maxConcurrent?']],
  [{ nats: { sevrer: 'a' } }, ['nats', '"sevrer"', 'servers']],
  [{ timing: { frobnicate: 1 } }, ['lockSeconds', 'silenceSeconds', 'patienceSeconds']],
])('%j is refused with the key that is meant', (value, facts) => {
  expect(wordsOf(configSchema, value)).toEqual(mentions(...facts));
});
