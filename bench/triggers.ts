import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { publishSnapshotCreated } from '../lib/bus/events/snapshot-events.ts';
import { subjects } from '../lib/bus/subjects.ts';
import { startServices, type World } from './world.ts';
import { covered, epochMs, processesOf, unlogged } from './zfs-processes.ts';

/** The time from the event of an empty snapshot to its arrival. */
export interface TriggersRow {
  readonly runs: number;
  /** The median and the 99th percentile, in milliseconds; and the part in which no `zfs` process ran. */
  readonly wall: { readonly p50: number; readonly p99: number };
  readonly beyond: { readonly p50: number; readonly p99: number };
}

const dataset = 'tank/triggers';
/** After this time the rest of a run (cursors, a last release) is done, in milliseconds. */
const restMs = 300;

/** Makes `runs` empty snapshots, one after the other, and waits until each has arrived. */
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
  const more = await unlogged(source);
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
      const began = epochMs();
      publishSnapshotCreated(services.bus, source.name, `${dataset}@${run}`);
      await arrived.promise;
      const ended = epochMs();
      const ran = await Promise.all(hosts.map(async (host, at) => (await processesOf(host)).slice(before[at])));
      walls.push(ended - began);
      beyond.push(ended - began - covered(ran.flat(), more, began, ended));
    }
  } finally {
    await services.stop();
    await rm(folder, { recursive: true });
  }
  return { runs, wall: ranks(walls), beyond: ranks(beyond) };
}

function ranks(values: readonly number[]): { p50: number; p99: number } {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { p50: at(0.5), p99: at(0.99) };
}
