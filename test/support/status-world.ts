import { execa } from 'execa';
import { expect } from 'vitest';
import { fleetRow } from '../../cli/output/replication.ts';
import { readStatus } from '../../lib/bus/status/read.ts';
import { type Fleet, useFleet } from './fleet.ts';
import { program } from './program.ts';
import type { ServiceProcess } from './service.ts';
import type { SimHost } from './sim-host.ts';

export const allow = { ZPSEND_ALLOW: '*=pool' };

/** A source with `pool/a` and a sender, and receivers. */
export interface StatusWorld {
  readonly url: string;
  readonly fleet: Fleet;
  readonly source: SimHost;
  readonly sender: ServiceProcess;
  readonly targets: readonly SimHost[];
}

/** @param env of each receiver */
export async function useStatusWorld(url: string, ...env: NodeJS.ProcessEnv[]): Promise<StatusWorld> {
  const fleet = await useFleet(url);
  const source = await fleet.host('src');
  const targets = await Promise.all(env.map((_, at) => fleet.host(`dst-${at}`)));
  for (const host of [source, ...targets]) await host.zpool('create', 'pool');
  await source.zfs('create', 'pool/a');
  const sender = await fleet.start('sender', source);
  await Promise.all(targets.map((host, at) => fleet.start('receiver', host, { ...allow, ...env[at] })));
  return { url, fleet, source, sender, targets };
}

export async function snapshot(host: SimHost, bytes: number, ...names: string[]): Promise<void> {
  for (const name of names) {
    await host.zfs('set', `zfs-sim:write=${bytes}`, 'pool/a');
    await host.zfs('snapshot', `pool/a@${name}`);
  }
}

export const to = (target: SimHost | undefined) => ({ dataset: 'pool/a', to: { host: target?.name ?? '' } });

export async function rows({ fleet, source }: Pick<StatusWorld, 'fleet' | 'source'>) {
  const status = await readStatus(fleet.bus, source.name);
  return status?.found.map((one) => fleetRow(one, status.now)) ?? [];
}
export const rowTo = async (world: StatusWorld, target: SimHost | undefined) =>
  (await rows(world)).find((row) => row.target === target?.name);
/** Entries are written once a second. */
export const expectRow = (world: StatusWorld, target: SimHost | undefined) =>
  expect.poll(() => rowTo(world, target), { timeout: 15_000 });

export const zpsend = ({ url, source }: StatusWorld, ...argv: string[]) =>
  execa(process.execPath, [program, ...argv], {
    env: { ...source.env, NATS_URL: url },
    extendEnv: false,
    reject: false,
  });

/** A job that takes its time: 60 MB at 4 MB a second. */
export async function beginLong(world: StatusWorld): Promise<string> {
  await snapshot(world.source, 60_000_000, '1');
  const job = await world.fleet.begin(world.source.name, to(world.targets[0]));
  await expectRow(world, world.targets[0]).toMatchObject({ state: 'running', run: { job, rate: expect.any(Number) } });
  return job;
}
export const slow = { ZFS_SIM_RECV_RATE: '4M' };
