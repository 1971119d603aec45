import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { publishSnapshotCreated } from '../lib/bus/snapshot-events.ts';
import { subjects } from '../lib/bus/subjects.ts';
import { processesOf } from './ran.ts';
import { startServices, type World } from './world.ts';

/** From what was said of an empty snapshot to its arrival. */
export interface TriggersRow {
  readonly runs: number;
  /** Milliseconds, and those that no `zfs` process accounts for, of the middle and the slowest but one in a hundred. */
  readonly wall: { readonly p50: number; readonly p99: number };
  readonly beyond: { readonly p50: number; readonly p99: number };
}

const dataset = 'tank/triggers';
/** What a run leaves to do after the arrival (cursors, a last release) is over by then, in milliseconds. */
const restMs = 300;

/** Takes `runs` empty snapshots, one after the other, and waits until each has arrived. */
export async function measureTriggers(world: World, runs: number): Promise<TriggersRow> {
  const { source, target, plain } = world;
  await source.zfs('create', dataset);
  await source.zfs('snapshot', `${dataset}@0`);
  const folder = await mkdtemp(join(tmpdir(), 'zpsend-bench-policies-'));
  const file = join(folder, 'zpsend.yaml');
  await writeFile(file, JSON.stringify({ send: { policies: [{ dataset, to: [target.name] }] } }));
  const services = await startServices(world, plain, { sender: { ZPSEND_CONFIG: file } });
  let arrived = Promise.withResolvers<void>();
  services.bus.nc.subscribe(subjects.event(target.name, 'recv', 'done'), {
    callback: (error) => {
      if (!error) arrived.resolve();
    },
  });
  const walls: number[] = [];
  const beyond: number[] = [];
  try {
    await arrived.promise;
    for (let run = 1; run <= runs; run += 1) {
      await new Promise((resolve) => setTimeout(resolve, restMs));
      await source.zfs('snapshot', `${dataset}@${run}`);
      const hosts = [source, target];
      const before = await Promise.all(hosts.map(async (host) => (await processesOf(host)).length));
      arrived = Promise.withResolvers<void>();
      const began = performance.now();
      publishSnapshotCreated(services.bus, source.name, `${dataset}@${run}`);
      await arrived.promise;
      const wall = performance.now() - began;
      const ran = await Promise.all(hosts.map(async (host, at) => (await processesOf(host)).slice(before[at])));
      walls.push(wall);
      beyond.push(wall - waitedFor(ran[0] ?? [], ran[1] ?? []));
    }
  } finally {
    await services.stop();
    await rm(folder, { recursive: true });
  }
  return { runs, wall: ranks(walls), beyond: ranks(beyond) };
}

type Ran = Awaited<ReturnType<typeof processesOf>>;

/** What runs side by side is waited for once: the listings of both sides and the features of a pool, the send and its receive. */
function waitedFor(source: Ran, target: Ran): number {
  const of = (ran: Ran, verb: string): number =>
    ran.filter(({ argv }) => argv[1] === verb).reduce((sum, { ms }) => sum + ms, 0);
  const others = (ran: Ran): number =>
    ran.filter(({ argv }) => !['list', 'send', 'get'].includes(argv[1] ?? '')).reduce((sum, { ms }) => sum + ms, 0);
  return Math.max(of(source, 'list'), of(target, 'list'), of(target, 'get')) + others(source) + others(target);
}

function ranks(values: readonly number[]): { p50: number; p99: number } {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { p50: at(0.5), p99: at(0.99) };
}
