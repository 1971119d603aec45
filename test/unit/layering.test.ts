import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';

const root = resolve(import.meta.dirname, '../..');

/** A file of every part of the project. */
const parts = {
  schemas: 'schemas/x.ts',
  plan: 'lib/plan/request/x.ts',
  verify: 'lib/verify/x.ts',
  zfs: 'lib/zfs/x.ts',
  bus: 'lib/bus/rpc/x.ts',
  compression: 'lib/compression/x.ts',
  settings: 'lib/settings/x.ts',
  machine: 'lib/machine/x.ts',
  deploy: 'lib/deploy/x.ts',
  simulator: 'tools/zfs-simulator/x.ts',
  natsServer: 'tools/nats-server/x.ts',
  sender: 'services/sender/transfer/x.ts',
  receiver: 'services/receiver/admission/x.ts',
  host: 'services/host/x.ts',
  cli: 'cli/args/x.ts',
  bin: 'bin/x.ts',
  test: 'test/support/x.ts',
  bench: 'bench/x.ts',
};

const packages = {
  zod: 'zod',
  nats: '@nats-io/transport-node',
  natsInternal: '@nats-io/jetstream/internal',
  execa: 'execa',
  childProcess: 'node:child_process',
  fs: 'node:fs',
  pino: 'pino',
  commander: 'commander',
  yaml: 'yaml',
  pLimit: 'p-limit',
};

type Import = keyof typeof parts | keyof typeof packages;
const imports = [...Object.keys(parts), ...Object.keys(packages)] as Import[];

const libraries: Import[] = ['schemas', 'plan', 'verify', 'zfs', 'bus', 'compression', 'settings', 'machine'];
const commands: Import[] = ['schemas', 'plan', 'verify', 'bus', 'settings', 'machine', 'deploy', 'natsServer'];

/** What a folder may import besides its own part; everything else has to be refused. */
const allowed: Record<string, Import[]> = {
  schemas: ['zod'],
  'lib/plan/steps': ['schemas'],
  'lib/verify': ['schemas', 'fs'],
  'lib/zfs': ['schemas', 'zod', 'execa', 'childProcess', 'fs'],
  'lib/bus/locks': ['schemas', 'zod', 'nats', 'natsInternal', 'pLimit', 'fs'],
  'lib/compression': ['schemas', 'fs'],
  'lib/settings': ['schemas', 'zod', 'yaml', 'fs'],
  'lib/deploy': ['schemas', 'bus', 'execa', 'childProcess', 'fs'],
  'lib/machine': ['schemas', 'childProcess', 'fs'],
  'tools/zfs-simulator': ['fs'],
  'tools/nats-server': ['execa', 'childProcess', 'fs'],
  'services/sender/job': [...libraries, 'host', 'pLimit', 'pino', 'yaml', 'zod', 'fs'],
  'services/receiver/store': [...libraries, 'host', 'pino', 'yaml', 'zod', 'fs'],
  'services/host': [...libraries, 'pino', 'yaml', 'zod', 'fs'],
  'cli/commands': [...commands, 'compression', 'commander', 'pino', 'yaml', 'zod', 'fs'],
  'cli/commands/demo': [...commands, 'commander', 'execa', 'pino', 'yaml', 'zod', 'fs', 'childProcess'],
};

/** One statement of each form that can reach another module. */
const forms = {
  import: "import '%';",
  type: "import type { a } from '%';",
  export: "export { b } from '%';",
  dynamic: "await import('%');",
};

/** `lib/bus/rpc/x.ts` to `lib/bus`, `cli/args/x.ts` to `cli`. */
const partOf = (file: string): string => /^(?:(?:lib|services|tools)\/)?[^/]+/.exec(file)?.[0] ?? file;
const ownPart = (file: string): Import | undefined =>
  (Object.keys(parts) as (keyof typeof parts)[]).find((name) => partOf(parts[name]) === partOf(file));

const relativeTo = (file: string, other: string): string => {
  const path = relative(dirname(file), other);
  return path.startsWith('.') ? path : `./${path}`;
};
const specifier = (file: string, name: Import): string =>
  name in packages ? packages[name as keyof typeof packages] : relativeTo(file, parts[name as keyof typeof parts]);

/** A project that has the real rules, one file of every part, and packages that are empty. */
let folder: string;

const report = z.object({
  summary: z.object({
    violations: z.array(z.object({ from: z.string(), to: z.string(), rule: z.object({ name: z.string() }) })),
  }),
});

const write = async (path: string, text: string): Promise<void> => {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await writeFile(join(folder, path), text);
};

/** Writes files, and tells which of their imports the rules refuse. */
const judge = async (files: Record<string, string>) => {
  for (const [path, text] of Object.entries(files)) await write(path, text);
  const args = ['--output-type', 'json', ...Object.keys(files)];
  const { stdout } = await execa(join(root, 'node_modules/.bin/depcruise'), args, { cwd: folder, reject: false });
  return report
    .parse(JSON.parse(stdout))
    .summary.violations.map(({ from, to, rule }) => ({ from, to, rule: rule.name }));
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zpsend-layering-'));
  for (const name of ['.dependency-cruiser.cjs', 'tsconfig.json']) await copyFile(join(root, name), join(folder, name));
  for (const file of Object.values(parts)) await write(file, 'export const [a, b] = [1, 2];\n');
  for (const name of Object.values(packages).filter((name) => !name.startsWith('node:')))
    await write(`node_modules/${name}/index.js`, 'exports.a = 1;\n');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Where an import leads, as the rules see it. */
const targetOf = (name: Import): string => {
  const specified = packages[name as keyof typeof packages];
  if (specified === undefined) return parts[name as keyof typeof parts];
  return specified.startsWith('node:') ? specified.slice(5) : `node_modules/${specified}/index.js`;
};

test('each folder may import what its layer may, and in no form anything else', async () => {
  const probes = Object.keys(allowed).flatMap((part) =>
    Object.entries(forms).map(([form, statement]) => {
      const file = `${part}/probe-${form}.ts`;
      return [file, imports.map((name) => statement.replace('%', specifier(file, name))).join('\n')] as const;
    }),
  );
  const violations = await judge(Object.fromEntries(probes));
  const refusedBy = (file: string) => new Set(violations.filter(({ from }) => from === file).map(({ to }) => to));
  for (const [file] of probes) {
    const may = new Set<Import | undefined>([...(allowed[dirname(file)] ?? []), ownPart(file)]);
    const refused = refusedBy(file);
    const verdicts = Object.fromEntries(
      imports.map((name) => [name, refused.has(targetOf(name)) ? 'refused' : 'fine']),
    );
    const wanted = Object.fromEntries(imports.map((name) => [name, may.has(name) ? 'fine' : 'refused']));
    expect({ file, ...verdicts }).toEqual({ file, ...wanted });
  }
});

/** Rooms of one part, the lower one first. */
const rooms = [
  ['lib/bus/rpc/', 'lib/bus/locks/'],
  ['lib/bus/channel/', 'lib/bus/channel/store/'],
  ['lib/plan/match/', 'lib/plan/steps/'],
  ['services/receiver/admission/', 'services/receiver/receive/'],
  ['services/sender/transfer/', 'services/sender/job/'],
  ['cli/output/', 'cli/client/'],
] as const;

test('a folder imports those below it in its part, and none above it', async () => {
  const files = rooms.flatMap(([low, high]) => [
    [`${low}low.ts`, ''],
    [`${high}high.ts`, ''],
    [`${low}upwards.ts`, `import '${relativeTo(`${low}x.ts`, `${high}high.ts`)}';`],
    [`${high}downwards.ts`, `import '${relativeTo(`${high}x.ts`, `${low}low.ts`)}';`],
  ]);
  const violations = await judge(Object.fromEntries(files));
  const upwards = rooms.map(([low, high]) => ({ from: `${low}upwards.ts`, to: `${high}high.ts` }));
  expect(new Set(violations.map(({ from, to }) => ({ from, to })))).toEqual(new Set(upwards));
});

test('a folder that stands on no floor is refused', async () => {
  const file = 'services/sender/elsewhere/new.ts';
  expect(await judge({ [file]: "import 'node:fs';\n" })).toMatchObject([{ from: file }]);
});

test('modules that import each other in a circle are refused, also where only types do', async () => {
  const files = {
    'lib/plan/match/one.ts': "import { two } from './two.ts';\nexport const one = () => two();\n",
    'lib/plan/match/two.ts': "import type { one } from './one.ts';\nexport const two = (): typeof one => one;\n",
  };
  const found = await judge(files);
  expect(found.map(({ rule }) => rule)).toEqual(['no-circle']);
});

/** Lints files in a folder that has nothing of the project but its biome.json. */
const lint = async (files: Record<string, string>): Promise<string[]> => {
  await copyFile(join(root, 'biome.json'), join(folder, 'biome.json'));
  for (const [path, text] of Object.entries(files)) await write(path, text);
  const args = ['lint', '--reporter=json', '--max-diagnostics=none', ...Object.keys(files)];
  const { stdout } = await execa(join(root, 'node_modules/.bin/biome'), args, { cwd: folder, reject: false });
  const { diagnostics } = z
    .object({ diagnostics: z.array(z.object({ category: z.string() })) })
    .parse(JSON.parse(stdout));
  return diagnostics.map(({ category }) => category.replace('lint/', '')).sort();
};

test('any, non-null assertions, enums and barrels are refused', async () => {
  const files = {
    'lib/plan/loose.ts': 'export const a = (b: any) => b;\nexport const c = (d?: string) => d!.length;\n',
    'lib/plan/e.ts': 'export enum E {\n  A,\n}\n',
    'lib/plan/index.ts': "export * from './one.ts';\n",
  };
  expect(await lint(files)).toEqual(
    expect.arrayContaining([
      'suspicious/noExplicitAny',
      'style/noNonNullAssertion',
      'style/noEnum',
      'performance/noBarrelFile',
    ]),
  );
});
