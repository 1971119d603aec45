import { request } from '../lib/bus/rpc/request.ts';
import { subjects } from '../lib/bus/subjects.ts';
import { jobAbortedSchema, sendStatusSchema } from '../schemas/job.ts';
import { destroyDataset } from './destroy.ts';
import { watch } from './processes.ts';
import { startServices, type World } from './world.ts';

/** The effect of a receiving pool of 1 MB/s on the services. */
export interface SlowRow {
  readonly seconds: number;
  /** The maximum lead of the sender over the pool, in bytes. */
  readonly sent: number;
  /** Peak memory in MB. */
  readonly rss: Record<string, number>;
}

/** Sends for a while into a pool that writes 1 MB/s, then cancels. */
export async function measureSlowPool(world: World, seconds: number): Promise<SlowRow> {
  const { source, target, plain } = world;
  const dataset = 'tank/slow';
  await source.zfs('create', dataset);
  await source.zfs('set', 'zfs-sim:write=1G', dataset);
  await source.zfs('snapshot', `${dataset}@one`);
  const services = await startServices(world, plain, { receiver: { ZFS_SIM_RECV_RATE: '1M' } });
  const usages = watch({ sender: () => [services.sender], receiver: () => [services.receiver] });
  try {
    const job = await services.begin(dataset);
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    const { jobs } = await request(services.bus, subjects.send(source.name, 'status'), { job }, sendStatusSchema);
    await request(services.bus, subjects.send(source.name, 'abort'), { job }, jobAbortedSchema).catch(() => {});
    const rss = Object.fromEntries(Object.entries(usages()).map(([party, usage]) => [party, usage.rss / 1e6]));
    return { seconds, sent: jobs[0]?.bytes ?? 0, rss };
  } finally {
    await services.stop();
    await destroyDataset(target, dataset);
  }
}
