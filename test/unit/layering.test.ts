import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../..');

/** Every part of the project, as a module in it would be imported. */
const parts = {
  schemas: 'schemas/x.ts',
  plan: 'lib/plan/x.ts',
  verify: 'lib/verify/x.ts',
  zfs: 'lib/zfs/x.ts',
  bus: 'lib/bus/x.ts',
  wire: 'lib/compression/x.ts',
  sim: 'tools/zfs-simulator/x.ts',
  natsServer: 'tools/nats-server/x.ts',
  settings: 'lib/settings/x.ts',
  machine: 'lib/machine/x.ts',
  deploy: 'lib/deploy/x.ts',
  sender: 'services/sender/x.ts',
  receiver: 'services/receiver/x.ts',
  host: 'services/host/x.ts',
  cli: 'cli/x.ts',
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
};

type Import = keyof typeof parts | keyof typeof packages;
const imports = [...Object.keys(parts), ...Object.keys(packages)] as Import[];

/** What a file may import besides its own part; everything else has to be refused. */
const allowed: Record<string, Import[]> = {
  'schemas/probe.ts': ['zod'],
  'lib/plan/probe.ts': ['schemas'],
  'lib/verify/probe.ts': ['schemas', 'fs'],
  'lib/zfs/probe.ts': ['schemas', 'zod', 'execa', 'childProcess', 'fs'],
  'lib/bus/probe.ts': ['schemas', 'zod', 'nats', 'natsInternal', 'fs'],
  'lib/bus/locks/probe.ts': ['schemas', 'zod', 'nats', 'natsInternal', 'fs'],
  'lib/compression/probe.ts': ['schemas', 'fs'],
  'lib/settings/probe.ts': ['schemas', 'zod', 'fs'],
  'lib/deploy/probe.ts': ['schemas', 'bus', 'execa', 'childProcess', 'fs'],
  'lib/machine/probe.ts': ['schemas', 'childProcess', 'fs'],
  'tools/zfs-simulator/probe.ts': ['fs'],
  'tools/nats-server/probe.ts': ['execa', 'childProcess', 'fs'],
  'services/sender/probe.ts': [
    'schemas',
    'plan',
    'verify',
    'zfs',
    'bus',
    'wire',
    'settings',
    'machine',
    'host',
    'zod',
    'fs',
    'pino',
  ],
  'services/receiver/probe.ts': [
    'schemas',
    'plan',
    'verify',
    'zfs',
    'bus',
    'wire',
    'settings',
    'machine',
    'host',
    'zod',
    'fs',
    'pino',
  ],
  'services/host/probe.ts': [
    'schemas',
    'plan',
    'verify',
    'zfs',
    'bus',
    'wire',
    'settings',
    'machine',
    'zod',
    'fs',
    'pino',
  ],
  'cli/probe.ts': [
    'schemas',
    'plan',
    'verify',
    'bus',
    'wire',
    'settings',
    'machine',
    'deploy',
    'natsServer',
    'zod',
    'fs',
    'pino',
    'commander',
  ],
  'cli/commands/demo/probe.ts': [
    ...([
      'schemas',
      'plan',
      'verify',
      'bus',
      'settings',
      'machine',
      'deploy',
      'natsServer',
      'zod',
      'fs',
      'pino',
      'commander',
    ] as const),
    ...(['execa', 'childProcess'] as const),
  ],
};

/** One statement of each form that can reach another module. */
const forms = ["import '%';", "import type { a } from '%';", "export { b } from '%';", "await import('%');"];

const ownPart = (file: string): Import | undefined =>
  (Object.keys(parts) as (keyof typeof parts)[]).find((part) => file.startsWith(`${dirname(parts[part])}/`));

const specifier = (file: string, name: Import): string => {
  if (name in packages) return packages[name as keyof typeof packages];
  const path = relative(dirname(file), parts[name as keyof typeof parts]);
  return path.startsWith('.') ? path : `./${path}`;
};

const rule = 'lint/style/noRestrictedImports';

let folder: string;
/** For each probed file, the lines on which a rule spoke. */
const refused = new Map<string, number[]>();

/** Lints files in a folder that has nothing of the project but its biome.json. */
const lint = async (files: Record<string, string>, category: string): Promise<{ path: string; line: number }[]> => {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  const biome = join(root, 'node_modules/.bin/biome');
  const args = ['lint', '--reporter=json', '--max-diagnostics=none', ...Object.keys(files)];
  const { stdout } = await execa(biome, args, { cwd: folder, reject: false });
  type Diagnostic = { category: string; location: { path: string; start: { line: number } } };
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: Diagnostic[] };
  return diagnostics
    .filter((diagnostic) => diagnostic.category === category)
    .map(({ location }) => ({ path: location.path, line: location.start.line }));
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zpsend-layering-'));
  await copyFile(join(root, 'biome.json'), join(folder, 'biome.json'));
  const probe = (file: string) =>
    imports.flatMap((name) => forms.map((form) => form.replace('%', specifier(file, name)))).join('\n');
  const files = Object.fromEntries(Object.keys(allowed).map((file) => [file, probe(file)]));
  for (const { path, line } of await lint(files, rule)) refused.set(path, [...(refused.get(path) ?? []), line]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test.each(Object.keys(allowed))('%s may import what its layer may, and in no form anything else', (file) => {
  const may = new Set<Import | undefined>([...(allowed[file] ?? []), ownPart(file)]);
  const lines = new Set(refused.get(file));
  const refusedForms = (name: Import) => {
    const first = imports.indexOf(name) * forms.length + 1;
    return forms.filter((_form, index) => lines.has(first + index));
  };
  const verdicts = Object.fromEntries(imports.map((name) => [name, refusedForms(name)]));
  expect(verdicts).toEqual(Object.fromEntries(imports.map((name) => [name, may.has(name) ? [] : forms])));
});

test('modules that import each other in a circle are refused', async () => {
  const files = {
    'lib/plan/one.ts': "import { two } from './two.ts';\nexport const one = () => two();\n",
    'lib/plan/two.ts': "import { one } from './one.ts';\nexport const two = (): unknown => one();\n",
  };
  const found = await lint(files, 'lint/suspicious/noImportCycles');
  expect(found.map(({ path }) => path).sort()).toEqual(Object.keys(files));
});

test('any, non-null assertions, enums and barrels are refused', async () => {
  const files = {
    'lib/plan/loose.ts': 'export const a = (b: any) => b;\nexport const c = (d?: string) => d!.length;\n',
  };
  expect(await lint(files, 'lint/suspicious/noExplicitAny')).toHaveLength(1);
  expect(await lint(files, 'lint/style/noNonNullAssertion')).toHaveLength(1);
  expect(await lint({ 'lib/plan/e.ts': 'export enum E {\n  A,\n}\n' }, 'lint/style/noEnum')).toHaveLength(1);
  const barrel = { 'lib/plan/index.ts': "export * from './one.ts';\n" };
  expect(await lint(barrel, 'lint/performance/noBarrelFile')).toHaveLength(1);
});
