import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { connect, headers } from '@nats-io/transport-node';
import { subjects } from '../../lib/bus/subjects.ts';
import { startNatsServer } from '../../tools/nats-server/start.ts';
import { openRandom, type Random } from '../support/random.ts';
import { openEnemy } from './enemy.ts';
import { growth, oddLines, type Sample, sampleOf, shown } from './health.ts';
import { honestWork } from './honest.ts';
import { mutatedBody, mutatedSubject } from './mutate.ts';
import { type Traffic, watchTraffic } from './traffic.ts';
import { makeWorld } from './world.ts';

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '60' }, seed: { type: 'string' } },
});
const seconds = Number(values.seconds);
const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed);
if (!(seconds >= 10) || !Number.isSafeInteger(seed)) {
  process.stderr.write('usage: npm run fuzz -- [--seconds N (10 or more)] [--seed S]\n');
  process.exit(2);
}
const print = (text: string): void => void process.stdout.write(`${text}\n`);
print(`fuzz: ${seconds} s, seed ${seed}`);

const server = await startNatsServer({ jetstream: true });
const world = await makeWorld(server.url);
// without echo: it learns from messages of honest services alone
const nc = await connect({ name: 'fuzz', servers: server.url, noEcho: true });
const wrong: string[] = [];
/** Patience with a machine that does much else. */
const answerMs = 60_000;
async function run(): Promise<void> {
  const random = openRandom(seed);
  const traffic = watchTraffic(nc);
  openEnemy(nc, { name: 'enemy', as: 'dst' }, random);
  await nc.flush();
  const work = honestWork(world);
  const samples = new Map<string, Sample[]>(world.services.map(({ name }) => [name, []]));
  const until = performance.now() + seconds * 1000;
  let sent = 0;
  let sampled = 0;
  while (performance.now() < until) {
    for (let many = 0; many < 8; many++) sent += publishOne(traffic, random) ? 1 : 0;
    await nc.flush();
    if (performance.now() - sampled < 5000) continue;
    sampled = performance.now();
    await takeSamples(samples);
    print(`${sent} messages of ${traffic.kinds().length} kinds; ${lineOf(samples)}`);
  }
  await work.end();
  print(`honest jobs: ${work.done()} done, ${work.failed()} failed`);
  await world.forget();
  wrong.push(...(await world.afterwards()));
  for (const { name, process: service } of world.services) {
    wrong.push(...growth(name, samples.get(name) ?? []));
    for (const line of oddLines(service)) wrong.push(`${name} wrote no JSON: ${line.slice(0, 300)}`);
  }
}

const lineOf = (samples: ReadonlyMap<string, Sample[]>): string =>
  [...samples].map(([name, all]) => `${name} ${shown(all.at(-1) ?? { rss: 0, files: 0 })}`).join('; ');

/** Publishes one message like those that were seen. @returns false as long as none was */
function publishOne(traffic: Traffic, random: Random): boolean {
  const seen = random.pick(random.pick(traffic.kinds()) ?? []);
  if (seen === undefined) return false;
  const more = headers();
  if (random.chance(0.1)) more.set(random.pick(['Nats-Stream', 'Status', 'X', 'KV-Operation']) ?? 'X', 'DEL');
  const body = mutatedBody(seen.body, random);
  const subject = mutatedSubject(seen.subject, traffic.subjects(), random);
  const reply = random.chance(0.8) ? '_INBOX.fuzz' : '$KV.zfs-locks.dst.pool/a';
  if (body.length >= (nc.info?.max_payload ?? 0) - 1000 || /[\s*>]|\.\.|^\.|\.$/.test(subject)) return false;
  nc.publish(subject, body, { reply, headers: more });
  return true;
}

async function takeSamples(samples: ReadonlyMap<string, Sample[]>): Promise<void> {
  for (const { name, host, process: service } of world.services) {
    const sample = sampleOf(service.pid);
    if (sample) samples.get(name)?.push(sample);
    else wrong.push(`${name} has ended: ${service.log.slice(-3).join(' ')}`);
    await nc.request(subjects.info(host), '{}', { timeout: answerMs }).catch((error: unknown) => {
      const { pid, log } = service;
      wrong.push(
        `${host} (${pid}) does not answer within ${answerMs / 1000} s: ${error}\n${log.slice(-12).join('\n')}`,
      );
    });
  }
  if (wrong.length > 0) throw new Error(wrong.join('\n'));
}

try {
  await run();
} finally {
  await nc.close();
  await world.end();
  await server.stop();
}
for (const one of wrong) print(`WRONG: ${one}`);
print(wrong.length === 0 ? 'nothing is wrong' : `${wrong.length} wrong, seed ${seed}`);
process.exit(wrong.length === 0 ? 0 : 1);
