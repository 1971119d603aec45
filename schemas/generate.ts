import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';

const folder = import.meta.dirname;

/** `sendRequestSchema` to `send-request.schema.json`. */
const fileName = (exported: string): string =>
  `${exported.replace(/Schema$/, '').replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}.schema.json`;

/** Names and numbers are parts of messages, not messages. */
const isMessage = (value: unknown): value is z.ZodType =>
  value instanceof z.ZodObject || value instanceof z.ZodUnion || value instanceof z.ZodArray;

/** Every exported object, union and array schema of this folder, as JSON Schema text by file name. */
export const jsonSchemas = async (): Promise<Map<string, string>> => {
  const files = new Map<string, string>();
  const modules = (await readdir(folder)).filter(
    (name) => name.endsWith('.ts') && name !== basename(import.meta.filename),
  );
  for (const module of modules.sort()) {
    const exports: Record<string, unknown> = await import(`./${module}`);
    for (const [name, value] of Object.entries(exports)) {
      if (!name.endsWith('Schema') || !isMessage(value)) continue;
      const file = fileName(name);
      if (files.has(file)) throw new Error(`${module}: another module exports ${name} too`);
      // as an editor or a sender sees it: what has a default may be left out
      const { $schema, ...schema } = z.toJSONSchema(value, { io: 'input' });
      files.set(file, `${JSON.stringify({ $schema, title: basename(file, '.schema.json'), ...schema }, null, 2)}\n`);
    }
  }
  return files;
};

/** The names of files that are missing, differ, or should not be there. */
const differing = async (json: string, wanted: Map<string, string>): Promise<string[]> => {
  const there = await readdir(json).catch(() => []);
  const names = [...new Set([...wanted.keys(), ...there])].sort();
  const differs = async (name: string) =>
    (await readFile(join(json, name), 'utf8').catch(() => undefined)) !== wanted.get(name);
  const flags = await Promise.all(names.map(differs));
  return names.filter((_name, index) => flags[index]);
};

if (import.meta.main) {
  const json = join(folder, 'json');
  const wanted = await jsonSchemas();
  const names = await differing(json, wanted);
  if (process.argv.includes('--check')) {
    for (const name of names) console.error(`schemas/json/${name} does not match schemas/: run npm run schemas`);
    process.exitCode = names.length > 0 ? 1 : 0;
  } else {
    await mkdir(json, { recursive: true });
    for (const name of names) {
      const text = wanted.get(name);
      await (text === undefined ? rm(join(json, name)) : writeFile(join(json, name), text));
      console.log(`schemas/json/${name}${text === undefined ? ' removed' : ''}`);
    }
  }
}
