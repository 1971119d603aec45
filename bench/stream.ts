import type { NatsServer } from '../tools/nats-server/start.ts';
import { throughPipe, throughSsh } from './baselines.ts';
import { forget } from './destroy.ts';
import { watch } from './processes.ts';
import type { Sshd } from './ssh.ts';
import { median } from './table.ts';
import { type Run, startServices, type World } from './world.ts';

/** A way for the bytes of a stream, as medians of its runs. */
export interface StreamRow {
  readonly way: string;
  /** In units of 10^9 bytes. */
  readonly gbPerSecond: number;
  /** CPU seconds per GB, and peak memory in MB, of each party between the two `zfs`. */
  readonly cpu: Record<string, number>;
  readonly rss: Record<string, number>;
}

const dataset = 'tank/big';
const snapshot = `${dataset}@one`;

/** @param more environment of the sender, and what is asked of it besides */
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

/** Half of the content is zeros, so that half goes over the wire. */
const halved = { env: { ZFS_SIM_ZEROS: '0.5' }, request: { compression: 'zstd' } };

/** Sends `bytes` along every way in turn, `rounds` times over, so that a busy machine is busy for all of them. */
export async function measureStreams(
  world: World,
  sshd: Sshd | undefined,
  bytes: number,
  rounds: number,
): Promise<StreamRow[]> {
  await world.source.zfs('create', dataset);
  await world.source.zfs('set', `zfs-sim:write=${bytes}`, dataset);
  await world.source.zfs('snapshot', snapshot);
  const ways: Record<string, () => Promise<Run>> = {
    'direct, plain': () => throughServices(world, world.plain),
    'direct, zstd': () => throughServices(world, world.plain, halved),
    'direct, TLS': () => throughServices(world, world.tls),
    'kernel pipe': () => throughPipe(world.source, world.target, snapshot, dataset),
  };
  if (sshd) {
    ways['ssh, default cipher'] = () => throughSsh(sshd, undefined, world, snapshot, dataset);
    ways['ssh, aes128-gcm'] = () => throughSsh(sshd, 'aes128-gcm@openssh.com', world, snapshot, dataset);
  }
  const runs = new Map<string, Run[]>(Object.keys(ways).map((way) => [way, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const [way, run] of Object.entries(ways)) {
      await forget(world.target, dataset);
      runs.get(way)?.push(await run());
    }
  }
  await forget(world.target, dataset);
  return [...runs].map(([way, all]) => rowOf(way, all, bytes / 1e9));
}

function rowOf(way: string, runs: readonly Run[], gb: number): StreamRow {
  const parties = [...new Set(runs.flatMap((run) => Object.keys(run.usages)))];
  const each = (of: (run: Run, party: string) => number): Record<string, number> =>
    Object.fromEntries(parties.map((party) => [party, median(runs.map((run) => of(run, party)))]));
  return {
    way,
    gbPerSecond: gb / median(runs.map((run) => run.seconds)),
    cpu: each((run, party) => (run.usages[party]?.cpu ?? 0) / gb),
    rss: each((run, party) => (run.usages[party]?.rss ?? 0) / 1e6),
  };
}
