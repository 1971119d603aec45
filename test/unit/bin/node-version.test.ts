import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mentions } from '../../support/mentions.ts';

const root = resolve(import.meta.dirname, '../../..');
let folder = '';
/** Makes this Node report another version. */
let pretend = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zpsend-node-'));
  pretend = join(folder, 'pretend.cjs');
  const versions = '{ value: { ...process.versions, node: process.env.PRETEND } }';
  writeFileSync(pretend, `Object.defineProperty(process, 'versions', ${versions});\n`);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const run = (entry: string, version: string, ...argv: string[]) =>
  execa(process.execPath, ['--require', pretend, join(root, entry), ...argv], {
    env: { PRETEND: version },
    reject: false,
  });

test.each(['bin/zpsend.cjs', 'services/receiver', 'services/sender'])(
  '%s reports a Node that is too old in one line, and starts nothing',
  async (entry) => {
    const { exitCode, stdout, stderr } = await run(entry, '20.20.2', '--version');
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr.split('\n')).toEqual([mentions('Node >= 24', 'v20.20.2', process.execPath, 'Node 24')]);
  },
);

test('a new enough Node runs the command', async () => {
  expect(await run('bin/zpsend.cjs', '24.0.0', '--version')).toMatchObject({
    exitCode: 0,
    stdout: expect.stringMatching(/^\d/),
  });
});

test.each(['receiver', 'sender'])('node services/%s --help prints the help and starts nothing', async (service) => {
  const { exitCode, stdout } = await run(`services/${service}`, '24.0.0', '--help');
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: expect.stringContaining(`Usage: zpsend ${service}`) });
});
