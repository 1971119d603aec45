import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { loadSettings } from '../../../../lib/settings/settings.ts';
import { configSchema } from '../../../../schemas/config.ts';
import { duration, flag, rate, size } from '../../../../schemas/units.ts';
import { configKeys, typeOf, withInner } from '../../../../tools/reference/config-keys.ts';
import { packagedConfig } from '../../../../tools/reference/config-yaml.ts';
import { configurationPage, exampleConfig } from '../../../../tools/reference/configuration.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'zpsend-reference-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const keys = configKeys().flatMap(withInner);
const settings = keys.filter(({ path, shape }) => shape !== 'section' && !path.includes('[]'));
const valueAt = (value: unknown, path: string): unknown =>
  path.split('.').reduce<unknown>((at, name) => (at as Record<string, unknown> | undefined)?.[name], value);

/** The configuration of a file with this text. */
function load(yaml: string) {
  const path = join(folder, 'zpsend.yaml');
  writeFileSync(path, yaml);
  return loadSettings({ ZPSEND_CONFIG: path, ZPSEND_HOST: 'smos-00' }).config;
}

/** The keys of an object schema, and of all objects inside it. */
function pathsOf(node: unknown, prefix: string): string[] {
  if (typeof node !== 'object' || node === null) return [];
  const { properties, items, anyOf } = node as { properties?: object; items?: unknown; anyOf?: unknown[] };
  return [
    ...Object.entries(properties ?? {}).flatMap(([name, below]) => [
      `${prefix}${name}`,
      ...pathsOf(below, `${prefix}${name}.`),
    ]),
    ...[items, ...(anyOf ?? [])].flatMap((below) => pathsOf(below, prefix)),
  ];
}

test('the keys are those of the JSON schema', () => {
  const paths = pathsOf(z.toJSONSchema(configSchema, { io: 'input' }), '');
  expect(new Set(keys.map(({ path }) => path.replaceAll('[]', '')))).toEqual(new Set(paths));
});

test('every key has a description: sentences, each with a full stop', () => {
  expect(keys.filter(({ description }) => !/^[A-Z`][^\n]+\.$/.test(description)).map(({ path }) => path)).toEqual([]);
});

test('configuration.md has every key, with its default', () => {
  const page = configurationPage();
  const lacks = keys.filter(({ name, default: initial, isRequired }) => {
    const shown = isRequired ? 'required' : initial === undefined ? '' : `\`${initial}\``;
    const row = new RegExp(
      `^\\| \\[?\`${name}\`(?:\\]\\(#[a-z]+\\))? \\| [^|]+ \\| ${shown.replaceAll(/[^\w ]/g, '\\$&')} \\| `,
      'm',
    );
    return !row.test(page);
  });
  expect(lacks.map(({ path }) => path)).toEqual([]);
});

test('every default is the value of an empty configuration', () => {
  const empty = configSchema.parse({});
  for (const { path, name, default: initial } of settings) {
    const section = path.split('.').slice(0, -1);
    const text = section.reduceRight((inner, one) => `{ ${one}: ${inner} }`, `{ ${name}: ${initial} }`);
    const shown = initial === undefined ? undefined : valueAt(configSchema.parse(parse(text)), path);
    expect({ path, value: shown }).toEqual({ path, value: valueAt(empty, path) });
  }
});

test.each([
  ['bytes, at least 64M', size(z.number().min(64 * 1024 ** 2))],
  ['bytes per second, at least 1K', rate],
  ['minutes, 1 to 60', duration(z.number().min(1).max(60), 60, 'minutes')],
  ['on or off, yes or no, true or false', flag.default(true)],
  ['whole number, 1 to 4', z.number().int().min(1).max(4).default(2)],
  ['`a`, `b`', z.enum(['a', 'b']).optional()],
  ['list of texts', z.array(z.string())],
])('a type is shown as %s', (words, schema) => expect(typeOf(schema)).toBe(words));

describe('deploy/zpsend.yaml', () => {
  const text = packagedConfig();

  test('sets nothing', () => {
    expect(load(text)).toEqual(configSchema.parse({}));
  });

  test('fits into 120 columns', () => {
    expect(text.split('\n').filter((line) => line.length > 120)).toEqual([]);
  });

  test.each(settings.map(({ path, name }) => [path, name]))('is valid with %s, which it then sets', (path, name) => {
    const from = (path.match(/[^.]+(?=\.)/g) ?? []).reduce((at, section) => text.indexOf(`${section}:\n`, at), 0);
    const at = text.indexOf(`#${name}: `, from);
    const active = `${text.slice(0, at)}${text.slice(at + 1)}`;
    const changed = settings.filter((one) => valueAt(parse(active), one.path) !== undefined);
    expect(changed.map((one) => one.path)).toEqual([path]);
    expect(valueAt(load(active), path)).toBeDefined();
  });
});

test('the example sets every key, with one NATS server and identity', () => {
  const example: unknown = parse(exampleConfig());
  expect(() => load(exampleConfig())).not.toThrow();
  const unset = settings.filter(({ path }) => valueAt(example, path) === undefined).map(({ path }) => path);
  expect(unset.filter((path) => !path.startsWith('nats.'))).toEqual([]);
  expect(Object.keys(valueAt(example, 'nats') as object)).toEqual(['url', 'nkey', 'ca', 'inboxPrefix']);
});
