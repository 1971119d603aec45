import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { planReplySchema } from '../../schemas/plan.ts';
import { mentions } from '../support/mentions.ts';

const root = resolve(import.meta.dirname, '../..');
// the Node that runs the tests is the one that `#!/usr/bin/env node` finds
const env = { PATH: [dirname(process.execPath), process.env.PATH].join(delimiter) };

let folder: string;
let installed: string;
let files: string[];

const zpsend = (...args: string[]) =>
  execa(join(folder, 'empty/node_modules/.bin/zpsend'), args, { cwd: join(folder, 'empty'), env, reject: false });

/** Packs a copy, so that the tree under test does not change, and installs the package in an empty folder. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zpsend-pack-'));
  const tree = join(folder, 'tree');
  const left = new Set(['node_modules', '.git', '.cache', 'dist'].map((name) => join(root, name)));
  await cp(root, tree, { recursive: true, filter: (path) => !left.has(path) });
  await symlink(join(root, 'node_modules'), join(tree, 'node_modules'));
  const packed = await execa('npm', ['pack', '--json', '--pack-destination', folder], { cwd: tree, env });
  const fileList = z.array(z.object({ path: z.string() }));
  const report = z.array(z.object({ filename: z.string(), files: fileList }));
  // the output of the build comes before the report
  const [tarball] = report.parse(JSON.parse(packed.stdout.slice(packed.stdout.search(/^\[/m))));
  if (!tarball) throw new Error('npm pack made nothing');
  files = tarball.files.map(({ path }) => path);

  const empty = join(folder, 'empty');
  await mkdir(empty);
  await writeFile(join(empty, 'package.json'), '{ "private": true }\n');
  const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];
  await execa('npm', ['install', ...options, join(folder, tarball.filename)], { cwd: empty, env });
  installed = join(empty, 'node_modules/zpsend');
}, 600_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

test('the package has the compiled files, and nothing for development', () => {
  const kept =
    /^(dist\/(bin|cli|lib|schemas|services|tools)\/.*\.js|dist\/(bin|services)\/[\w/]+\.cjs|dist\/services\/\w+\/package\.json|dist\/tools\/zfs-simulator\/bin\/\w+|dist\/schemas\/zpsend\.schema\.json|dist\/man\/man[15]\/zpsend[\w.-]*\.[15]|docs\/.*\.md|deploy\/.*\.(md|conf|json|service|sh|xml)|deploy\/zpsend\.yaml)$/;
  const linked = ['ARCHITECTURE.md', 'CONTRIBUTING.md', 'tools/zfs-simulator/README.md'];
  const papers = ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', ...linked];
  expect(files.filter((path) => !kept.test(path) && !papers.includes(path))).toEqual([]);
  expect(files).toEqual(expect.arrayContaining([...papers, 'dist/bin/zpsend.cjs', 'dist/schemas/zpsend.schema.json']));
  expect(files).toEqual(
    expect.arrayContaining(['dist/man/man1/zpsend-send.1', 'dist/man/man5/zpsend.yaml.5', 'deploy/zpsend.yaml']),
  );
});

test('the installed command is a Node script that prints its version', async () => {
  const { version } = z
    .object({ version: z.string() })
    .parse(JSON.parse(await readFile(join(root, 'package.json'), 'utf8')));
  expect(await readFile(join(installed, 'dist/bin/zpsend.cjs'), 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  expect(await zpsend('--version')).toMatchObject({ exitCode: 0, stdout: expect.stringContaining(version) });
});

const oldNode = '/usr/bin/node';
const versionOf = async (node: string) => (await execa(node, ['--version'], { reject: false })).stdout;
const isOld = /^v(?:1\d|2[0-3])\./.test(await versionOf(oldNode));

test.runIf(isOld)('every entry of the package prints one line with the needed Node on an older one', async () => {
  const version = await versionOf(oldNode);
  for (const entry of ['dist/bin/zpsend.cjs', 'dist/services/receiver', 'dist/services/sender']) {
    const { exitCode, stdout, stderr } = await execa(oldNode, [join(installed, entry), '--version'], { reject: false });
    expect({ exitCode, stdout, lines: stderr.split('\n').length }).toEqual({ exitCode: 1, stdout: '', lines: 1 });
    expect(stderr).toEqual(mentions('Node >= 24', version, oldNode));
  }
});

test('the folder of a service is started with that service’s arguments', async () => {
  for (const service of ['receiver', 'sender']) {
    const argv = [join(installed, 'dist/services', service), '--help'];
    const { exitCode, stdout } = await execa(process.execPath, argv, { reject: false });
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: expect.stringContaining(`Usage: zpsend ${service}`) });
  }
});

test('the installed command plans from saved listings, without NATS', async () => {
  const inventory = join(root, 'test/fixtures/inventories/zones-test.json');
  const args = ['plan', '--inventory', inventory, '--json', 'zones/test', 'smos-00'];
  const { exitCode, stdout, stderr } = await zpsend(...args);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  const { plan } = planReplySchema.parse(JSON.parse(stdout));
  const snapshots = plan.ok ? plan.steps.map((step) => step.to.name.split('@')[1]) : plan;
  expect(snapshots).toEqual(['now', 'now2', '8550', '18569', '20392', '30577', '4387']);
});

test('the simulator of the demo runs from the package', async () => {
  const simulated = join(installed, 'dist/tools/zfs-simulator/bin/zfs');
  const { stdout } = await execa(simulated, ['version'], { env: { ...env, ZFS_SIM_ROOT: join(folder, 'sim') } });
  expect(stdout).toMatch(/^zfs-\d/);
});
