import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { z } from 'zod';
import {
  baseSchema,
  datasetOf,
  datasetOrSnapshotSchema,
  datasetSchema,
  guidSchema,
  hostSchema,
  idSchema,
  isWithin,
  leafOf,
  leafSchema,
  maxNameLength,
  propertySchema,
  propertyValueSchema,
  snapshotSchema,
  tokenSchema,
} from '../../../schemas/names.ts';
import { datasetNames, leafNames } from '../lib/plan/legal-names.ts';

const takes = (schema: z.ZodType, value: unknown): boolean => schema.safeParse(value).success;

const schemas = {
  dataset: datasetSchema,
  snapshot: snapshotSchema,
  'dataset or snapshot': datasetOrSnapshotSchema,
  leaf: leafSchema,
  base: baseSchema,
};
/** What precedes a bad piece to make it as good as can be otherwise. */
const before: Record<keyof typeof schemas, string> = {
  dataset: 'tank/',
  snapshot: 'tank/a@',
  'dataset or snapshot': 'tank/a@',
  leaf: '',
  base: '@',
};

test('every name that ZFS accepts is accepted', () => {
  fc.assert(
    fc.property(datasetNames, leafNames, (dataset, leaf) => {
      expect(takes(datasetSchema, dataset)).toBe(true);
      expect(takes(datasetOrSnapshotSchema, dataset)).toBe(true);
      expect(takes(leafSchema, leaf)).toBe(true);
      expect(takes(baseSchema, `@${leaf}`)).toBe(true);
      expect(takes(baseSchema, `#${leaf}`)).toBe(true);
      const snapshot = `${dataset}@${leaf}`;
      expect(takes(snapshotSchema, snapshot)).toBe(snapshot.length <= maxNameLength);
      expect([datasetOf(snapshot), leafOf(snapshot)]).toEqual([dataset, leaf]);
    }),
  );
});

test.each(['tank', 'tank/a b', 'tank/a:b', 'tank/-c', 'tank/...', 'tank/.x', 'tank/x ', 'Tank/a_b-c.d/1'])(
  '%j is a dataset',
  (name) => expect(takes(datasetSchema, name)).toBe(true),
);

describe.each(Object.entries(schemas))('no %s', (kind, schema) => {
  const good = before[kind as keyof typeof schemas];
  test.each([
    ';rm',
    '$(reboot)',
    '`id`',
    'a\nb',
    'a\n',
    'a\r',
    '\na',
    'a\0b',
    'a\0',
    'a\tb',
    'a%b',
    'a*',
    'a|b',
    'a&b',
    "a'b",
    'a"b',
    'a\\b',
    'a@b@c',
    'a@',
    'a#',
    'a#b#c',
    '.',
    '..',
    'ä',
    'а',
    'a\u2028',
    'a\u00a0b',
    'a\u{1f600}',
    'a'.repeat(300),
  ])('holds %j', (bad) => expect(takes(schema, good + bad)).toBe(false));

  test('is empty, or not a string', () => {
    for (const value of ['', undefined, null, 1, true, ['tank'], { name: 'tank' }]) {
      expect(takes(schema, value)).toBe(false);
    }
  });
});

test.each([
  '-tank',
  '-rf/a',
  '--help',
  ' tank',
  '1tank',
  '.tank',
  '/tank',
  'tank/',
  'tank//a',
  '/',
  '../tank',
  'tank/..',
  'tank/../other',
  'tank/a/../../other',
  'tank/./a',
  '@a',
  '@',
  'tank@',
  'tank/@a',
  'tank@a/b',
  '#a',
])('%j is neither dataset nor snapshot', (name) => {
  expect(takes(datasetSchema, name)).toBe(false);
  expect(takes(snapshotSchema, name)).toBe(false);
  expect(takes(datasetOrSnapshotSchema, name)).toBe(false);
});

test('a snapshot is not a dataset, and a bookmark is not a snapshot', () => {
  expect(takes(datasetSchema, 'tank/a@b')).toBe(false);
  expect(takes(snapshotSchema, 'tank/a')).toBe(false);
  expect(takes(snapshotSchema, 'tank/a#b')).toBe(false);
  expect(takes(baseSchema, 'a')).toBe(false);
  expect(takes(baseSchema, '-a')).toBe(false);
});

test('the length limit is that of ZFS, including the snapshot', () => {
  expect(takes(datasetSchema, 'a'.repeat(255))).toBe(true);
  expect(takes(datasetSchema, 'a'.repeat(256))).toBe(false);
  expect(takes(snapshotSchema, `${'a'.repeat(253)}@b`)).toBe(true);
  expect(takes(snapshotSchema, `${'a'.repeat(254)}@b`)).toBe(false);
});

test.each<[string, z.ZodType, string[], string[]]>([
  ['host', hostSchema, ['smos-00', 'A_1'], ['', 'a.b', 'a b', '*', '>', 'a>', 'a\n', 'a'.repeat(65)]],
  ['id', idSchema, ['abc123', 'k3v9x2m1qat12'], ['abc12', 'a-b-c-d', 'abc.123', 'abc123\n', '', 'a'.repeat(33)]],
  ['guid', guidSchema, ['0', '18446744073709551615'], ['', '-1', '1.5', '0x1', '1e3', ' 1', '1\n', '1'.repeat(21)]],
  ['token', tokenSchema, ['1-e604ea4bf-e0-789c63'], ['', '-t x', '1-G', '1-a\n', 'a'.repeat(65537)]],
  ['property', propertySchema, ['readonly', 'com.sun:auto-snapshot'], ['', 'a=b', 'a b', 'a\n']],
  ['property value', propertyValueSchema, ['', 'on', 'a b=c;$()'], ['a\nb', 'a\n', 'a\0']],
])('a valid %s is distinguished from similar text', (_what, schema, good, bad) => {
  expect(good.filter((text) => !takes(schema, text))).toEqual([]);
  expect(bad.filter((text) => takes(schema, text))).toEqual([]);
});

test('a dataset is within itself and its ancestors, but not within a dataset whose name is only a prefix', () => {
  expect(isWithin('tank/a', 'tank/a')).toBe(true);
  expect(isWithin('tank/a/b', 'tank/a')).toBe(true);
  expect(isWithin('tank/ab', 'tank/a')).toBe(false);
  expect(isWithin('tank', 'tank/a')).toBe(false);
  fc.assert(
    fc.property(datasetNames, leafNames, (name, more) => {
      expect(isWithin(name + more, name)).toBe(false);
    }),
  );
});
