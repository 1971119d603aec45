import { beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { configSchema } from '../../../schemas/config.ts';
import { inventorySchema } from '../../../schemas/inventory.ts';
import { sendRequestSchema } from '../../../schemas/request.ts';
import { schemaBundle } from '../../../tools/json-schemas.ts';

type Node = { [key: string]: unknown };
const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null && !Array.isArray(value);

let schemas: [string, unknown][];
beforeAll(async () => {
  schemas = Object.entries((await schemaBundle()).$defs);
});

/** Paths of objects that take any field; a record names the schema of its keys instead. */
const openObjects = (value: unknown, path: string): string[] => {
  if (Array.isArray(value)) return value.flatMap((item, index) => openObjects(item, `${path}/${index}`));
  if (!isNode(value)) return [];
  const open = value.type === 'object' && value.additionalProperties !== false && !isNode(value.propertyNames);
  const below = Object.entries(value).flatMap(([key, item]) => openObjects(item, `${path}/${key}`));
  return open ? [path, ...below] : below;
};

test('no message, configuration or output accepts a field that it does not know', () => {
  expect(schemas.flatMap(([name, schema]) => openObjects(schema, name))).toEqual([]);
});

test('the search for open objects finds one', () => {
  const open = z.object({ a: z.strictObject({}), b: z.array(z.looseObject({})) });
  expect(openObjects(z.toJSONSchema(open, { io: 'input' }), 'x')).toEqual(['x', 'x/properties/b/items']);
});

/** Every `$ref` below a value. */
const references = (value: unknown): unknown[] => {
  if (Array.isArray(value)) return value.flatMap(references);
  if (!isNode(value)) return [];
  return Object.entries(value).flatMap(([key, item]) => (key === '$ref' ? [item] : references(item)));
};

test('every reference leads to a definition of the bundle, and none is a separate document', () => {
  const names = new Set(schemas.map(([name]) => `#/$defs/${name}`));
  const refs = references(schemas.map(([, schema]) => schema));
  expect(refs).toContain('#/$defs/error-body');
  expect(refs.filter((ref) => typeof ref !== 'string' || !names.has(ref))).toEqual([]);
  expect(schemas.filter(([, schema]) => isNode(schema) && ('$id' in schema || '$schema' in schema))).toEqual([]);
});

test('configuration, inventory and requests are among the published schemas', () => {
  const names = schemas.map(([name]) => name);
  expect(names).toEqual(expect.arrayContaining(['config', 'inventory-file', 'send-request']));
});

test('what has a default may be left out of a configuration file', () => {
  const config = schemas.find(([name]) => name === 'config')?.[1];
  expect(config).not.toHaveProperty('required');
  expect(configSchema.parse({})).toMatchObject({ receive: { allow: [], maxConcurrent: 4 } });
});

test.each([
  ['a configuration', configSchema, { recieve: {} }],
  [
    'a nested part of a configuration',
    configSchema,
    { receive: { allow: [{ from: '*', into: 'tank', only: 'tank/a' }] } },
  ],
  ['an inventory', inventorySchema, { host: 'a', datasets: [], extra: 1 }],
  ['a request', sendRequestSchema, { dataset: 'tank/a', to: { host: 'b', port: 22 } }],
])('an unknown field in %s is refused by its name', (_what, schema, value) => {
  const result = schema.safeParse(value);
  expect(result.error?.issues.map(({ code }) => code)).toEqual(['unrecognized_keys']);
});
