import type { NatsServer } from '../tools/nats-server/start.ts';
import { throughPipe, throughSsh } from './baselines.ts';
import { destroyDataset } from './destroy.ts';
import { watch } from './processes.ts';
import type { Sshd } from './ssh.ts';
import { median } from './table.ts';
import { type Run, startServices, type World } from './world.ts';

/** One transport of a stream, with the medians of its runs. */
export interface StreamRow {
  readonly transport: string;
  /** In units of 10^9 bytes. */
  readonly gbPerSecond: number;
  /** CPU seconds for each GB, and peak memory in MB, of each party between the two `zfs` processes. */
  readonly cpu: Record<string, number>;
  readonly rss: Record<string, number>;
}

const dataset = 'tank/big';
const snapshot = `${dataset}@one`;

/** @param more environment of the sender, and fields of the request */
async function throughServices(
  world: World,
  server: NatsServer,
  more: { env?: NodeJS.ProcessEnv; request?: object } = {},
): Promise<Run> {
  const services = await startServices(world, server, more.env && { sender: more.env });
  try {
    const usages = watch({
      sender: () => [services.sender],
      server: () => [server.pid],
      receiver: () => [services.receiver],
    });
    const began = performance.now();
    const job = await services.send(dataset, more.request);
    if (job.done !== 1) throw new Error(`${job.done} snapshots were sent, not one`);
    return { seconds: (performance.now() - began) / 1000, usages: usages() };
  } finally {
    await services.stop();
  }
}

/** Half of the content is zeros, so that compression halves the transferred bytes. */
const halved = { env: { ZFS_SIM_ZEROS: '0.5' }, request: { compression: 'zstd' } };

/** Sends `bytes` over each transport in turn, `rounds` times, so that other load on the machine affects all of them. */
export async function measureStreams(
  world: World,
  sshd: Sshd | undefined,
  bytes: number,
  rounds: number,
): Promise<StreamRow[]> {
  await world.source.zfs('create', dataset);
  await world.source.zfs('set', `zfs-sim:write=${bytes}`, dataset);
  await world.source.zfs('snapshot', snapshot);
  const transports: Record<string, () => Promise<Run>> = {
    'direct, plain': () => throughServices(world, world.plain),
    'direct, zstd': () => throughServices(world, world.plain, halved),
    'direct, TLS': () => throughServices(world, world.tls),
    'kernel pipe': () => throughPipe(world.source, world.target, snapshot, dataset),
  };
  if (sshd) {
    transports['ssh, default cipher'] = () => throughSsh(sshd, undefined, world, snapshot, dataset);
    transports['ssh, aes128-gcm'] = () => throughSsh(sshd, 'aes128-gcm@openssh.com', world, snapshot, dataset);
  }
  const runs = new Map<string, Run[]>(Object.keys(transports).map((transport) => [transport, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const [transport, run] of Object.entries(transports)) {
      await destroyDataset(world.target, dataset);
      runs.get(transport)?.push(await run());
    }
  }
  await destroyDataset(world.target, dataset);
  return [...runs].map(([transport, all]) => rowOf(transport, all, bytes / 1e9));
}

function rowOf(transport: string, runs: readonly Run[], gb: number): StreamRow {
  const parties = [...new Set(runs.flatMap((run) => Object.keys(run.usages)))];
  const each = (of: (run: Run, party: string) => number): Record<string, number> =>
    Object.fromEntries(parties.map((party) => [party, median(runs.map((run) => of(run, party)))]));
  return {
    transport,
    gbPerSecond: gb / median(runs.map((run) => run.seconds)),
    cpu: each((run, party) => (run.usages[party]?.cpu ?? 0) / gb),
    rss: each((run, party) => (run.usages[party]?.rss ?? 0) / 1e6),
  };
}
