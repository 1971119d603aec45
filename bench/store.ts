import { parseStoredName, subjects } from '../lib/bus/subjects.ts';
import { type ServiceProcess, startService } from '../test/support/service.ts';
import { streamsOf } from '../test/support/streams.ts';
import { destroyDataset } from './destroy.ts';
import { watch } from './processes.ts';
import { median, ratio } from './table.ts';
import { startServices, type World } from './world.ts';

/** A stream through the store, one end after the other; and directly, for comparison. */
export interface StoreRow {
  /** In 10^9 bytes/s. */
  readonly direct: number;
  readonly put: number;
  readonly get: number;
  /** The rates into the store and out of it, relative to the direct rate of the same round. */
  readonly parts: { readonly put: number; readonly get: number };
  /** Peak memory in MB. */
  readonly rss: { readonly sender: number; readonly receiver: number };
}

const dataset = 'tank/stored';

/** Sends `bytes` directly, then into the store while the target is offline, then lets the target fetch them; `rounds` times. */
export async function measureStore(world: World, bytes: number, rounds: number): Promise<StoreRow> {
  const { source, target, plain } = world;
  await source.zfs('create', dataset);
  await source.zfs('set', `zfs-sim:write=${bytes}`, dataset);
  await source.zfs('snapshot', `${dataset}@one`);
  const seconds = { direct: [] as number[], put: [] as number[], get: [] as number[] };
  const rss = { sender: 0, receiver: 0 };
  for (let round = 0; round < rounds; round += 1) {
    const services = await startServices(world, plain);
    // the source remembers what a target has, so each run has another target
    const into = (channel: string) => ({ host: target.name, dataset: `${dataset}-${channel}-${round}` });
    try {
      const to = into('direct');
      seconds.direct.push(await took(() => services.send(dataset, { to })));
      await services.stopReceiver();
      await destroyDataset(target, to.dataset);
      const put = watch({ sender: () => [services.sender] });
      seconds.put.push(await took(() => services.send(dataset, { to: into('store'), channel: 'store' })));
      rss.sender = Math.max(rss.sender, put().sender?.rss ?? 0);
      let receiver: ServiceProcess | undefined;
      const get = watch({ receiver: () => (receiver ? [receiver.pid] : []) });
      const reported = (what: 'started' | 'done') =>
        new Promise<number>((resolve) => {
          const subject = subjects.event(target.name, 'recv', what);
          services.bus.nc.subscribe(subject, { max: 1, callback: () => resolve(performance.now()) });
        });
      const fetched = Promise.all([reported('started'), reported('done')]);
      await services.bus.nc.flush();
      const env = { ...target.env, ...world.natsEnv(plain), ZPSEND_ALLOW: `${source.name}=tank` };
      receiver = await startService('receiver', env);
      const [began, ended] = await fetched;
      seconds.get.push((ended - began) / 1000);
      rss.receiver = Math.max(rss.receiver, get().receiver?.rss ?? 0);
      const streams = await streamsOf(services.bus, source.name);
      // the sender removes the fetched stream during the next measurement
      while ((await streams.names()).some((name) => parseStoredName(name)?.kind !== 'known')) {
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      await receiver.end('SIGTERM');
    } finally {
      await services.stop();
      await destroyDataset(target, into('store').dataset);
    }
  }
  const rate = (all: readonly number[]): number => bytes / 1e9 / median(all);
  return {
    direct: rate(seconds.direct),
    put: rate(seconds.put),
    get: rate(seconds.get),
    parts: { put: ratio(seconds.direct, seconds.put), get: ratio(seconds.direct, seconds.get) },
    rss: { sender: rss.sender / 1e6, receiver: rss.receiver / 1e6 },
  };
}

async function took(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}
