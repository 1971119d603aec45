import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';

const folder = resolve(import.meta.dirname, '../schemas');
const place = '#/$defs/';

/** `sendRequestSchema` to `send-request`. */
const nameOf = (exported: string): string =>
  exported.replace(/Schema$/, '').replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** Schemas of names and numbers are parts of messages, not messages. */
const isMessage = (value: unknown): value is z.ZodType =>
  value instanceof z.ZodObject || value instanceof z.ZodUnion || value instanceof z.ZodArray;

/** Every exported object, union and array schema of schemas/, by the name of its definition. */
async function messages(): Promise<Map<string, z.ZodType>> {
  const found = new Map<string, z.ZodType>();
  for (const module of (await readdir(folder)).filter((name) => name.endsWith('.ts')).sort()) {
    const exports: Record<string, unknown> = await import(resolve(folder, module));
    for (const [exported, value] of Object.entries(exports)) {
      if (!exported.endsWith('Schema') || !isMessage(value)) continue;
      const name = nameOf(exported);
      if (found.has(name)) throw new Error(`schemas/${module}: another module exports ${exported} too`);
      found.set(name, value);
    }
  }
  return found;
}

/** zod collects unexported schemas that several messages share in a separate document, which becomes part of the bundle. */
const shared = '__shared';
const inBundle = (reference: string): string => reference.replace(`${place}${shared}${place}`, `${place}${shared}-`);
const withinBundle = (key: string, value: unknown): unknown =>
  key === '$ref' && typeof value === 'string' ? inBundle(value) : value;

/** All messages, the configuration and the output of `--json`, as definitions of one JSON Schema. */
export async function schemaBundle(): Promise<{ $schema: string; $defs: Record<string, unknown> }> {
  const registry = z.registry<{ id: string }>();
  for (const [name, schema] of await messages()) registry.add(schema, { id: name });
  // as input: fields with a default are optional
  const { schemas } = z.toJSONSchema(registry, { io: 'input', uri: (id) => `${place}${id}` });
  const { [shared]: parts, ...documents } = schemas;
  const $defs: Record<string, unknown> = {};
  for (const [name, { $schema, $id, ...schema }] of Object.entries(documents)) $defs[name] = schema;
  for (const [name, part] of Object.entries(parts?.$defs ?? {})) $defs[`${shared}-${name}`] = part;
  const bundle = { $schema: 'https://json-schema.org/draft/2020-12/schema', title: 'zpsend', $defs };
  return JSON.parse(JSON.stringify(bundle, withinBundle));
}

// writes to the given file; without one, only checks that it can be built
if (import.meta.main) {
  const text = `${JSON.stringify(await schemaBundle(), null, 2)}\n`;
  const [file] = process.argv.slice(2);
  if (file !== undefined) {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }
}
