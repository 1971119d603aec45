import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished } from 'vitest';
import { type Fleet, useFleet } from './fleet.ts';
import type { SimHost } from './sim-host.ts';

export interface Pair {
  fleet: Fleet;
  source: SimHost;
  target: SimHost;
}

/** smos-00 has zones/back/test up to @b, and two more snapshots; smos-01 has @c besides. */
export async function usePair(url: string): Promise<Pair> {
  const fleet = await useFleet(url);
  const [source, target] = await Promise.all([fleet.host('smos-01'), fleet.host('smos-00')]);
  await Promise.all([source.zpool('create', 'zones'), target.zpool('create', 'zones')]);
  await target.zfs('create', 'zones/back');
  await source.zfs('create', 'zones/test');
  for (const name of ['a', 'b']) await change(source, 'zones/test', name);
  return { fleet, source, target };
}

export async function change(host: SimHost, dataset: string, snapshot: string): Promise<void> {
  await host.zfs('set', 'zfs-sim:write=200000', dataset);
  await host.zfs('snapshot', `${dataset}@${snapshot}`);
}

/** The environment of a receiver whose only rule allows these. */
export async function allowing(...conflicts: string[]): Promise<NodeJS.ProcessEnv> {
  const folder = await mkdtemp(join(tmpdir(), 'zpsend-config-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, 'zpsend.yaml');
  await writeFile(
    file,
    `receive: { allow: [{ from: smos-01, into: zones/back, conflicts: [${conflicts.join(', ')}] }] }\n`,
  );
  return { ZPSEND_CONFIG: file };
}

/** Both hosts begin equal, and then diverge. */
export async function diverge({ fleet, source, target }: Pair): Promise<void> {
  expect(await fleet.send('smos-01', ask())).toMatchObject({ state: 'done', done: 2 });
  for (const name of ['x', 'y']) await change(target, 'zones/back/test', name);
  await change(source, 'zones/test', 'c');
}

export const ask = (conflict?: string, more: object = {}) => ({
  dataset: 'zones/test',
  to: { host: 'smos-00', dataset: 'zones/back/test' },
  ...(conflict && { conflict }),
  ...more,
});

export async function stream(host: SimHost, ...argv: string[]): Promise<Buffer> {
  const { stdout } = await execa('zfs', ['send', ...argv], { env: host.env, extendEnv: false, encoding: 'buffer' });
  return Buffer.from(stdout);
}

export const there = async (host: SimHost): Promise<string[]> =>
  (await host.zfs('list', '-Hp', '-r', '-t', 'all', '-o', 'name', 'zones/back'))
    .split('\n')
    .filter((line) => line !== 'zones/back')
    .map((line) => line.replace('zones/back/', ''));

export const ran = async (host: SimHost): Promise<string[]> =>
  (await host.processes())
    .map(({ argv }) => argv.slice(1).join(' '))
    .filter((line) => /^(destroy|rollback|rename|release) /.test(line));

export const rollbacks = async (host: SimHost): Promise<string[]> =>
  (await ran(host)).filter((line) => line.startsWith('rollback '));

/** What diverge() leaves on the target. */
export const diverged = ['test', 'test@a', 'test@b', 'test@x', 'test@y'];
