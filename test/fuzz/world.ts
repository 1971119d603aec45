import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { type Bus, connectBus } from '../../lib/bus/connection/connect.ts';
import { request } from '../../lib/bus/rpc/request.ts';
import {
  eventsStream,
  locksBucket,
  policiesBucket,
  statusBucket,
  streamsBucket,
  subjects,
} from '../../lib/bus/subjects.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import { type Job, sendStartedSchema, sendStatusSchema } from '../../schemas/job.ts';
import { type ServiceProcess, startService } from '../support/service.ts';
import { makeSimHost, type SimHost } from '../support/sim-host.ts';

/** A source and a target that trust the whole bus, as on a single machine: what is tried is that they hold. */
export interface World {
  readonly bus: Bus;
  readonly src: SimHost;
  readonly services: readonly { name: string; host: string; process: ServiceProcess }[];
  start(body: object): Promise<string>;
  /** A job that is not remembered has failed. */
  ended(job: string): Promise<Pick<Job, 'state' | 'error'>>;
  /** Removes what was written into buckets. */
  forget(): Promise<void>;
  /** Does a good job go well, and is all there that was? @returns what is wrong */
  afterwards(): Promise<string[]>;
  end(): Promise<void>;
}

const patienceMs = 60_000;

export async function makeWorld(url: string): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'zpsend-fuzz-'));
  const [src, dst] = await Promise.all([makeSimHost('src'), makeSimHost('dst')]);
  await Promise.all([src.zpool('create', 'pool'), dst.zpool('create', 'pool')]);
  for (const name of ['pool/a', 'pool/b']) await src.zfs('create', name);
  await dst.zfs('create', 'pool/own');
  await dst.zfs('snapshot', 'pool/own@1');
  const bus = await connectBus({ name: 'fuzz (honest)', env: { NATS_URL: url }, wait: false });
  const jsm = await jetstreamManager(bus.nc);
  await jsm.streams.add({ name: eventsStream, subjects: ['zfs.*.event.snapshot.created'] });
  const file = join(folder, 'send.yaml');
  const policies = [{ dataset: 'pool/b', to: ['dst', 'away'] }];
  // JSON is YAML
  await writeFile(file, JSON.stringify({ send: { channel: 'auto', policies, reconcileMinutes: 0.5 } }));
  const common = { NATS_URL: url, ZPSEND_LOCK_SECONDS: '4', ZPSEND_SILENCE_SECONDS: '3', ZPSEND_PATIENCE_SECONDS: '8' };
  const receiving = { ...dst.env, ...common, ZPSEND_ALLOW: '*=pool/in', ZPSEND_MAX_CONCURRENT: '8' };
  await dst.zfs('create', 'pool/in');
  const services = [
    {
      name: 'sender',
      host: 'src',
      process: await startService('sender', { ...src.env, ...common, ZPSEND_CONFIG: file }),
    },
    { name: 'receiver', host: 'dst', process: await startService('receiver', receiving) },
  ];
  const world: World = {
    bus,
    src,
    services,
    start: async (body) => (await request(bus, subjects.send('src', 'start'), body, sendStartedSchema, patienceMs)).job,
    async ended(job) {
      for (;;) {
        const asked = request(bus, subjects.send('src', 'status'), { job }, sendStatusSchema, patienceMs);
        const known = await asked.then(
          ({ jobs }) => jobs[0],
          // jobs by forged orders have pushed it out of those that are remembered
          (thrown) => (ZpsendError.from(thrown).code === 'NO_SUCH_JOB' ? ({ state: 'failed' } as const) : undefined),
        );
        if (known && ['done', 'failed'].includes(known.state)) return known;
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    },
    async forget() {
      // nothing can be purged in it, and who needs a lock makes it again
      await jsm.streams.delete(`KV_${locksBucket}`).catch(() => undefined);
      const names = [statusBucket, policiesBucket].map((name) => `KV_${name}`);
      for (const name of [...names, `OBJ_${streamsBucket('src')}`, eventsStream])
        await jsm.streams.purge(name).catch(() => undefined);
    },
    async afterwards() {
      await src.zfs('snapshot', 'pool/a@last');
      const job = await world.ended(
        await world.start({ dataset: 'pool/a', to: { host: 'dst', dataset: 'pool/in/last' } }),
      );
      const has = (host: SimHost, name: string) => host.zfs('list', '-Hp', '-o', 'guid', name).catch(() => undefined);
      const own = await dst.zfs('list', '-H', '-r', '-t', 'all', '-o', 'name', 'pool/own');
      return [
        ...(job.state === 'done' ? [] : [`a good job afterwards: ${JSON.stringify(job.error)}`]),
        ...((await has(dst, 'pool/in/last@last')) === (await has(src, 'pool/a@last')) ? [] : ['it did not arrive']),
        ...(own === 'pool/own\npool/own@1' ? [] : [`the target's own dataset is another: ${own}`]),
      ];
    },
    async end() {
      await Promise.all(services.map((service) => service.process.end()));
      await bus.close();
      await Promise.all([src.remove(), dst.remove(), rm(folder, { recursive: true, force: true })]);
    },
  };
  return world;
}
