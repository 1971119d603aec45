import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';

const root = resolve(import.meta.dirname, '../..');
const rule = 'noExcessiveLinesPerFunction';

const rules = z.object({ complexity: z.record(z.string(), z.unknown()).optional() });
const override = z.looseObject({
  includes: z.array(z.string()),
  linter: z.looseObject({ rules: z.looseObject(rules.shape) }),
});
const configuration = z.looseObject({ overrides: z.array(override) });

let folder: string;
/** The files in which functions may be longer than the rule says. */
let exempt: string[];
let over: string[];

/** Lints those files by the project's rules, without the exemption. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zpsend-long-'));
  const { overrides, ...others } = configuration.parse(JSON.parse(await readFile(join(root, 'biome.json'), 'utf8')));
  const isExemption = ({ linter }: z.infer<typeof override>) => linter.rules.complexity?.[rule] === 'off';
  exempt = overrides.filter(isExemption).flatMap(({ includes }) => includes);
  const strict = { ...others, overrides: overrides.filter((each) => !isExemption(each)) };
  await writeFile(join(folder, 'biome.json'), JSON.stringify(strict));
  const long = `export function long(): void {\n${'  console.log();\n'.repeat(71)}}\n`;
  await cp(root, folder, {
    recursive: true,
    filter: (path) => path === root || exempt.some((file) => join(root, file).startsWith(path)),
  });
  await mkdir(join(folder, 'lib'), { recursive: true });
  await writeFile(join(folder, 'lib/long.ts'), long);
  const biome = join(root, 'node_modules/.bin/biome');
  const args = ['lint', `--only=complexity/${rule}`, '--reporter=json', '--max-diagnostics=none', '.'];
  const { stdout } = await execa(biome, args, { cwd: folder, reject: false });
  const report = z.object({ diagnostics: z.array(z.object({ location: z.object({ path: z.string() }) })) });
  over = report.parse(JSON.parse(stdout)).diagnostics.map(({ location }) => location.path);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('a function of more than 70 lines is refused', () => {
  expect(over).toContain('lib/long.ts');
});

test('no file is exempt from this without need, and the list of those that are is in order', () => {
  expect(exempt).toEqual([...new Set(exempt)].sort());
  expect(exempt.filter((file) => !over.includes(file))).toEqual([]);
});
