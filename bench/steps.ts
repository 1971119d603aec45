import { startServices, type World } from './world.ts';
import { covered, epochMs, processesOf, unlogged } from './zfs-processes.ts';

/** The cost of a chain of tiny increments. */
export interface StepsRow {
  readonly steps: number;
  /** `zfs` processes for each step, on both sides together; and those of them that belong to the steps rather than to the job. */
  readonly processes: number;
  readonly own: number;
  /** Milliseconds for each step; and those in which no `zfs` process ran. */
  readonly wall: number;
  readonly beyond: number;
}

/** Processes of a step: send, receive, step holds, and inspections of a snapshot. Those of a job are its listings, cursors and last-received holds. */
function isOfStep({ argv }: { argv: readonly string[] }): boolean {
  const [, verb] = argv;
  if (verb === 'hold' || verb === 'release') return !argv.includes('zpsend:base');
  return verb === 'send' || verb === 'receive' || (verb === 'list' && (argv.at(-1)?.includes('@') ?? false));
}

/** Sends `count` tiny increments in one job, after the first snapshot. */
export async function measureSteps(world: World, count: number): Promise<StepsRow> {
  const { source, target, plain } = world;
  const dataset = 'tank/steps';
  await source.zfs('create', dataset);
  await source.zfs('zfs-sim-fill', dataset, '1');
  const services = await startServices(world, plain);
  try {
    await services.send(dataset);
    await source.zfs('zfs-sim-fill', dataset, `${count}`);
    const more = await unlogged(source);
    const before = [await processesOf(source), await processesOf(target)].map((all) => all.length);
    const began = epochMs();
    const job = await services.send(dataset);
    const ended = epochMs();
    const wall = ended - began;
    if (job.done !== count) throw new Error(`${job.done} of ${count} steps were done`);
    const ran = [await processesOf(source), await processesOf(target)].flatMap((all, at) => all.slice(before[at]));
    return {
      steps: count,
      processes: ran.length / count,
      own: ran.filter(isOfStep).length / count,
      wall: wall / count,
      beyond: (wall - covered(ran, more, began, ended)) / count,
    };
  } finally {
    await services.stop();
  }
}
