import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { execa } from 'execa';
import { type Bus, connectBus } from '../../lib/bus/connection/connect.ts';
import { startNatsCluster } from '../../tools/nats-server/cluster.ts';
import { acts, intruders, overlaps, type Report, type Start } from './judge.ts';
import { type Contender, disturb, forgetLocks, type Scenario, scenarios, ttlOf } from './scenarios.ts';

/** Three processes want one lock of a cluster of three, while its bucket, its leader or they themselves are disturbed. */
const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '60' }, scenario: { type: 'string', multiple: true } },
});
const seconds = Number(values.seconds);
const chosen = scenarios.filter((one) => values.scenario?.includes(one) ?? true);
if (!(seconds > 0) || chosen.length < (values.scenario?.length ?? 1)) {
  process.stderr.write(`usage: npm run contend -- [--seconds N] [--scenario ${scenarios.join('|')}]...\n`);
  process.exit(2);
}

/** Between two requests to act, in milliseconds. */
const actMs = 120;
const [program, bin] = ['contender.ts', 'bin'].map((name) => fileURLToPath(new URL(name, import.meta.url)));
const print = (text: string): void => void process.stdout.write(`${text}\n`);

async function startContender(who: string, ttl: number, env: NodeJS.ProcessEnv, reports: Report[]): Promise<Contender> {
  const child = execa(process.execPath, [program ?? '', who, `${ttl}`], { env, reject: false, buffer: false });
  const ready = Promise.withResolvers<void>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    const one: Report = JSON.parse(line);
    if (one.type === 'ready') ready.resolve();
    reports.push(one);
  });
  child.stderr.on('data', (text) => process.stderr.write(text));
  await Promise.race([ready.promise, child.then(() => Promise.reject(new Error(`contender ${who} ended`)))]);
  const signal = (name: NodeJS.Signals): void => void process.kill(child.pid ?? 0, name);
  const end = async (): Promise<void> => {
    signal('SIGCONT');
    signal('SIGKILL');
    await child;
  };
  return { who, signal, end };
}

async function startsIn(file: string): Promise<Start[]> {
  const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '');
  return lines.map((line) => {
    const [seconds = '', name = ''] = line.split(' ');
    return { name: name.split('@')[0] ?? '', at: Number(seconds) * 1000 };
  });
}

/** @returns what is wrong, a line each */
async function play(scenario: Scenario, bus: Bus, url: string): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'zpsend-contenders-'));
  const file = join(folder, 'starts');
  await writeFile(file, '');
  const path = [bin, process.env.PATH].join(delimiter);
  const env = { ...process.env, PATH: path, NATS_URL: url, CONTENDERS_STARTS: file };
  const reports: Report[] = [];
  await forgetLocks(bus, scenario);
  const contenders = await Promise.all(
    ['a', 'b', 'c'].map((who) => startContender(who, ttlOf(scenario), env, reports)),
  );
  const acting = setInterval(() => bus.nc.publish(acts), actMs);
  const errors: string[] = [];
  const until = performance.now() + seconds * 1000;
  for (let round = 1; performance.now() < until; round += 1) {
    await disturb({ scenario, round, bus, contenders, reports }).catch((error) => errors.push(String(error)));
  }
  clearInterval(acting);
  // the last stretch of a lease is reported when it ends
  await sleep(8000);
  await Promise.all(contenders.map(({ end }) => end()));
  const wrong = judge(scenario, reports, await startsIn(file), errors);
  await rm(folder, { recursive: true });
  return wrong;
}

function judge(scenario: Scenario, reports: readonly Report[], starts: readonly Start[], errors: string[]): string[] {
  const holding = reports.filter((one) => one.type === 'held');
  const spans = reports.filter((one) => one.type === 'taken');
  const over = overlaps(holding);
  const late = overlaps(spans);
  const others = intruders(starts, holding);
  const longest = (pairs: typeof over): number => Math.round(Math.max(0, ...pairs.map(({ ms }) => ms)));
  const lost = spans.filter(({ why }) => why === 'lost').length;
  print(
    `${scenario}: taken ${spans.length}, lost ${lost}, zfs started ${starts.length}; held by two: ${over.length} (longest ${longest(over)} ms); ` +
      `zfs under another's lock: ${others.length}; noticed the loss late: ${late.length} (longest ${longest(late)} ms); ` +
      `disturbances that failed: ${errors.length}${errors.length > 0 ? ` (${errors[0]})` : ''}`,
  );
  // a stopped one notices late, and does nothing meanwhile
  const isStopped = scenario.includes('stop');
  return [
    ...over.map(({ names, ms }) => `${names.join(' and ')} held it both for ${Math.round(ms)} ms`),
    ...(isStopped
      ? []
      : late.map(({ names, ms }) => `${names[0]} noticed late, ${Math.round(ms)} ms into ${names[1]}`)),
    ...others.map(({ name, at }) => `zfs of ${name} started at ${at} under another's lock`),
    ...(spans.length < 3 || starts.length < 10 ? ['too little happened to prove anything'] : []),
  ];
}

const servers = await startNatsCluster(3, { jetstream: true });
const url = servers.map((server) => server.url).join(',');
const bus = await connectBus({ name: 'contenders', env: { NATS_URL: url }, wait: false });
let failed = 0;
try {
  for (const scenario of chosen) {
    const wrong = await play(scenario, bus, url);
    for (const line of wrong) print(`    WRONG: ${line}`);
    if (wrong.length > 0) failed += 1;
  }
} finally {
  await bus.close();
  await Promise.all(servers.map((server) => server.stop()));
}
print(failed > 0 ? `${failed} failed` : 'all passed');
process.exit(failed > 0 ? 1 : 0);
