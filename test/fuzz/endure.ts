import { parseArgs } from 'node:util';
import { z } from 'zod';
import { type NatsServer, startNatsServer } from '../../tools/nats-server/start.ts';
import { growth, oddLines, type Sample, sampleOf, shown } from './health.ts';
import { makeWorld, type World } from './world.ts';

const { values } = parseArgs({
  options: { jobs: { type: 'string', default: '40' }, restarts: { type: 'string', default: '10' } },
});
const [jobs, restarts] = [Number(values.jobs), Number(values.restarts)];
if (!(Number.isSafeInteger(jobs) && jobs >= 9 && Number.isSafeInteger(restarts) && restarts >= 0)) {
  process.stderr.write('usage: npm run endure -- [--jobs N (9 or more)] [--restarts N]\n');
  process.exit(2);
}
const print = (text: string): void => void process.stdout.write(`${text}\n`);

const connectionsSchema = z.object({
  connections: z.array(z.object({ name: z.string().default(''), subscriptions: z.number() })),
});
/** Subscriptions of the services, as the server counts them. */
async function subscriptions({ monitor }: NatsServer): Promise<number> {
  const { connections } = connectionsSchema.parse(await (await fetch(`${monitor}/connz`)).json());
  return connections.filter(({ name }) => name.startsWith('zpsend')).reduce((sum, one) => sum + one.subscriptions, 0);
}

/** Jobs in turn, direct ones and stored ones, with restarts of the server among them. @returns how many were done */
async function live(server: NatsServer, world: World, sample: () => Promise<void>): Promise<number> {
  let done = 0;
  let restarted = 0;
  for (let at = 1; at <= jobs; at++) {
    await world.src.zfs('set', 'zfs-sim:write=100000', 'pool/a');
    await world.src.zfs('snapshot', `pool/a@e${at}`);
    const isStored = at % 4 === 0;
    const to = { host: 'dst', dataset: isStored ? 'pool/in/stored' : 'pool/in/direct' };
    const job = await world.start({ dataset: 'pool/a', to, ...(isStored && { channel: 'store' }) });
    // before the job has ended, now and then
    if (restarted < Math.floor((at * restarts) / jobs)) {
      await server.restart();
      restarted++;
    }
    const { state, error } = await world.ended(job);
    if (state === 'done') done++;
    else print(`job ${at}: ${JSON.stringify(error)}`);
    await sample();
    if (at % 20 === 0) print(`${at} jobs, ${restarted} restarts: ${lineOf()}`);
  }
  return done;
}

const samples = new Map<string, Sample[]>();
const lineOf = (): string =>
  [...samples].map(([name, all]) => `${name} ${shown(all.at(-1) ?? { rss: 0, files: 0 })}`).join('; ');

const server = await startNatsServer({ jetstream: true });
const world = await makeWorld(server.url);
const wrong: string[] = [];
try {
  const sample = async (): Promise<void> => {
    for (const { name, process: service } of world.services) {
      const sample = sampleOf(service.pid);
      if (!sample) throw new Error(`${name} has ended: ${service.log.slice(-3).join(' ')}`);
      samples.set(name, [...(samples.get(name) ?? []), sample]);
    }
  };
  const before = await subscriptions(server);
  const done = await live(server, world, sample);
  const after = await subscriptions(server);
  print(
    `${done} of ${jobs} jobs done, ${restarts} restarts; ${before} subscriptions before, ${after} after; ${lineOf()}`,
  );
  if (done < jobs) wrong.push(`${jobs - done} jobs failed`);
  if (after > before) wrong.push(`subscriptions: ${before} before, ${after} after`);
  wrong.push(...(await world.afterwards()));
  for (const { name, process: service } of world.services) {
    wrong.push(...growth(name, samples.get(name) ?? []), ...oddLines(service).map((line) => `${name}: ${line}`));
    wrong.push(...service.log.filter((line) => line.includes('MaxListeners')));
  }
} finally {
  await world.end();
  await server.stop();
}
for (const one of wrong) print(`WRONG: ${one}`);
print(wrong.length === 0 ? 'nothing is wrong' : `${wrong.length} wrong`);
process.exit(wrong.length === 0 ? 0 : 1);
