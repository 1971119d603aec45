import { setTimeout as sleep } from 'node:timers/promises';
import { isWithin } from '../../schemas/names.ts';
import type { Truth } from '../support/expected-state.ts';
import { listed } from '../support/listing.ts';
import { inject, raise } from './faults.ts';
import type { Jobs } from './jobs.ts';
import { leftIn, listingsOf } from './left.ts';
import { type Model, notRepaired, staleMarks } from './model.ts';
import type { Scene, Write } from './scenarios.ts';
import { endings, inTheMiddle, settled } from './waits.ts';
import type { World } from './world.ts';

export interface Play {
  readonly world: World;
  readonly jobs: Jobs;
  readonly model: Model;
  /** One for each target. */
  readonly truths: readonly Truth[];
  /** The dataset that is asked for with all below it, and the one that a policy sends. */
  readonly root: string;
  readonly policy: string;
}

export interface Round {
  /** Who was hit; undefined where the transfer was over before. */
  readonly hit?: string;
  readonly wrong: readonly string[];
}

/** Asks once for a replication, strikes in its middle, and looks whether it ends right without anybody's help. */
export async function playRound(play: Play, scene: Scene, number: number): Promise<Round> {
  const { world, jobs } = play;
  const targets = scene.to.flatMap((at) => world.targets[at]?.name ?? []);
  const away = scene.away === undefined ? undefined : world.targets[scene.away]?.name;
  await write(play.world, scene.writes, number);
  if (away !== undefined) await world.services.stopReceivers(away);
  jobs.forget();
  const ids = scene.way === 'event' ? await tell(play, number) : await ask(play, targets);
  const running = await inTheMiddle(jobs);
  if (running) await sleep(scene.afterMs);
  const hit = running && (await inject(world, scene, running));
  const wrong = await endings(jobs, ids);
  if (away !== undefined) await world.services.startMissing(away);
  wrong.push(...(await settled(() => differences(play))));
  await raise(world, scene);
  wrong.push(...(await settled(async () => staleMarks(await leftIn(world)))));
  wrong.push(...(await damages(play)));
  return { ...(hit !== undefined && { hit }), wrong };
}

/** A round of all datasets to all targets in which nobody is hit: what earlier deaths have left is repaired by it. */
export async function playCalmly(play: Play, number: number): Promise<Round> {
  const { world, jobs, model, root, policy } = play;
  const datasets = (await listed(world.source, world.source.pool)).datasets.filter(
    (name) => name !== world.source.pool,
  );
  const targets = world.targets.map(({ name }) => name);
  await write(
    world,
    datasets.map((dataset) => ({ dataset, bytes: 1000 })),
    number,
  );
  const ids = [...(await ask(play, targets)), ...(await tell(play, number))];
  const wrong = await endings(jobs, ids);
  wrong.push(...(await settled(() => differences(play))));
  wrong.push(
    ...(await settled(async () => {
      const left = await leftIn(world);
      return [...staleMarks(left), ...notRepaired(left, model, targets, [root, policy, ...datasets].filter(isNew))];
    })),
  );
  wrong.push(...(await damages(play)));
  return { wrong };
}

const isNew = (name: string, at: number, all: readonly string[]): boolean => all.indexOf(name) === at;

/** Writes, with a snapshot after each: `@<round>-<count>`. */
async function write({ source }: World, writes: readonly Write[], number: number): Promise<void> {
  for (const [at, { dataset, bytes }] of writes.entries()) {
    await source.write(dataset, bytes);
    await source.zfs('snapshot', `${dataset}@${number}-${at}`);
  }
}

/** Asks for the tree; gives the jobs' ids. */
async function ask(play: Play, targets: readonly string[]): Promise<string[]> {
  const { jobs, root } = play;
  await learn(play, targets, (name) => isWithin(name, root));
  return jobs.ask(root, targets);
}

/** Tells of the policy's newest snapshot. There is no job to ask for. */
async function tell(play: Play, number: number): Promise<string[]> {
  const { world, jobs, policy } = play;
  await learn(
    play,
    world.targets.map(({ name }) => name),
    (name) => name === policy,
  );
  jobs.tell(`${policy}@${number}-0`);
  return [];
}

/** The model learns what is sent from here on. */
async function learn(
  { world, model, truths }: Play,
  targets: readonly string[],
  isSent: (dataset: string) => boolean,
): Promise<void> {
  const source = await listed(world.source, world.source.pool);
  for (const target of targets) model.sent(target, source, source.datasets.filter(isSent));
  for (const truth of truths) await truth.learn(source);
}

const differences = async ({ world, model }: Play): Promise<string[]> =>
  (await listingsOf(world)).flatMap(({ name, listing }) => model.differences(name, listing));

async function damages({ world, truths }: Play): Promise<string[]> {
  const listings = await listingsOf(world);
  const each = truths.map((truth, at) => truth.wrong(listings[at]?.listing ?? { datasets: [], snapshots: [] }));
  return (await Promise.all(each)).flat();
}
