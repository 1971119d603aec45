import { request } from '../lib/bus/rpc/request.ts';
import { subjects } from '../lib/bus/subjects.ts';
import { fanStartedSchema, sendStatusSchema } from '../schemas/job.ts';
import { startService } from '../test/support/service.ts';
import { makeSimHost, type SimHost } from '../test/support/sim-host.ts';
import { destroyDataset } from './destroy.ts';
import { watch } from './processes.ts';
import { median, ratio } from './table.ts';
import { startServices, type World } from './world.ts';

/** One stream to several receivers. */
export interface FanRow {
  readonly targets: number;
  /** The write rate of each target's pool, in MB/s; undefined if unlimited. */
  readonly rate: number | undefined;
  /** The time to send to all at once (one read), relative to sending to one of them, and to each in turn. */
  readonly ofOne: number;
  readonly ofEach: number;
  /** To all at once, in seconds. */
  readonly seconds: number;
  /** Peak memory of the sender in MB, when it sends to all. */
  readonly rss: number;
}

/** With pools this slow, the cores are partly idle, as with more cores. In MB/s. */
const slowRate = 200;

/** One stream to three receivers, at the speed of memory and into slower pools. */
export async function measureFanOut(world: World, bytes: number, rounds: number): Promise<FanRow[]> {
  return [await measure(world, bytes, rounds), await measure(world, bytes / 2, Math.min(rounds, 3), slowRate)];
}

/** Sends `bytes` to the world's target and to two more: to one, to each in turn, and to all at once. */
async function measure(world: World, bytes: number, rounds: number, rate?: number): Promise<FanRow> {
  const { source, target, plain } = world;
  const dataset = `tank/fan${rate ?? ''}`;
  const pool = rate === undefined ? {} : { ZFS_SIM_RECV_RATE: `${rate}M` };
  await source.zfs('create', dataset);
  await source.zfs('set', `zfs-sim:write=${bytes}`, dataset);
  await source.zfs('snapshot', `${dataset}@one`);
  const others = await Promise.all(['bench-two', 'bench-three'].map(makeSimHost));
  for (const host of others) await host.zpool('create', 'tank');
  const targets = [target, ...others];
  const env = { ...world.natsEnv(plain), ZPSEND_ALLOW: `${source.name}=tank`, ...pool };
  const services = await startServices(world, plain, { receiver: pool });
  const receivers = await Promise.all(others.map((host) => startService('receiver', { ...host.env, ...env })));
  const usages = watch({ sender: () => [services.sender] });
  const ask = async (to: readonly SimHost[]): Promise<number> => {
    const began = performance.now();
    const start = { dataset, to: to.map(({ name }) => ({ host: name })) };
    const { jobs } = await request(services.bus, subjects.send(source.name, 'start'), start, fanStartedSchema);
    // one after the other: each status request costs the sender time, more for several jobs at once
    for (const job of jobs) await ended(job);
    return (performance.now() - began) / 1000;
  };
  async function ended(job: string): Promise<void> {
    for (;;) {
      const { jobs } = await request(services.bus, subjects.send(source.name, 'status'), { job }, sendStatusSchema);
      if (jobs[0]?.state === 'done') return;
      if (jobs[0]?.error) throw new Error(`the job failed: ${jobs[0].error.code} ${jobs[0].error.message}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  const destroyAll = () => Promise.all(targets.map((host) => destroyDataset(host, dataset)));
  const seconds = { one: [] as number[], each: [] as number[], together: [] as number[] };
  try {
    for (let round = 0; round < rounds; round += 1) {
      seconds.one.push(await ask([target]));
      await destroyAll();
      let sum = 0;
      for (const host of targets) sum += await ask([host]);
      seconds.each.push(sum);
      await destroyAll();
      seconds.together.push(await ask(targets));
      await destroyAll();
    }
  } finally {
    await services.stop();
    await Promise.all(receivers.map((receiver) => receiver.end('SIGTERM')));
    await Promise.all(others.map((host) => host.remove()));
  }
  const { one, each, together } = seconds;
  return {
    targets: targets.length,
    rate,
    ofOne: ratio(together, one),
    ofEach: ratio(together, each),
    seconds: median(together),
    rss: (usages().sender?.rss ?? 0) / 1e6,
  };
}
