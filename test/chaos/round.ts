import { setTimeout as sleep } from 'node:timers/promises';
import { isWithin } from '../../schemas/names.ts';
import type { ExpectedState } from '../support/expected-state.ts';
import { listed } from '../support/listing.ts';
import { inject, recover } from './faults.ts';
import type { Jobs } from './jobs.ts';
import { leftIn, listingsOf } from './left.ts';
import { type Model, notRepaired, staleMarks } from './model.ts';
import type { Scenario, Write } from './scenarios.ts';
import { endings, inTheMiddle, settled } from './waits.ts';
import type { World } from './world.ts';

export interface Run {
  readonly world: World;
  readonly jobs: Jobs;
  readonly model: Model;
  /** One for each target. */
  readonly expectedStates: readonly ExpectedState[];
  /** The dataset that is asked for with all below it, and the one that a policy sends. */
  readonly root: string;
  readonly policy: string;
}

export interface Round {
  /** Who was hit; undefined where the transfer was over before. */
  readonly hit?: string;
  readonly wrong: readonly string[];
}

/** Requests a replication once, injects a fault in its middle, and checks that it ends right without help. */
export async function runRound(run: Run, scenario: Scenario, number: number): Promise<Round> {
  const { world, jobs } = run;
  const targets = scenario.to.flatMap((at) => world.targets[at]?.name ?? []);
  const away = scenario.away === undefined ? undefined : world.targets[scenario.away]?.name;
  await write(run.world, scenario.writes, number);
  if (away !== undefined) await world.services.stopReceivers(away);
  jobs.forget();
  const ids = scenario.kind === 'event' ? await announce(run, number) : await ask(run, targets);
  const running = await inTheMiddle(jobs);
  if (running) await sleep(scenario.afterMs);
  const hit = running && (await inject(world, scenario, running));
  const wrong = await endings(jobs, ids);
  if (away !== undefined) await world.services.startMissing(away);
  wrong.push(...(await settled(() => differences(run))));
  await recover(world, scenario);
  wrong.push(...(await settled(async () => staleMarks(await leftIn(world)))));
  wrong.push(...(await damages(run)));
  return { ...(hit !== undefined && { hit }), wrong };
}

/** A round of all datasets to all targets without a fault: it repairs stale marks of earlier faults. */
export async function runUndisturbed(run: Run, number: number): Promise<Round> {
  const { world, jobs, model, root, policy } = run;
  const datasets = (await listed(world.source, world.source.pool)).datasets.filter(
    (name) => name !== world.source.pool,
  );
  const targets = world.targets.map(({ name }) => name);
  await write(
    world,
    datasets.map((dataset) => ({ dataset, bytes: 1000 })),
    number,
  );
  const ids = [...(await ask(run, targets)), ...(await announce(run, number))];
  const wrong = await endings(jobs, ids);
  wrong.push(...(await settled(() => differences(run))));
  wrong.push(
    ...(await settled(async () => {
      const left = await leftIn(world);
      return [...staleMarks(left), ...notRepaired(left, model, targets, [root, policy, ...datasets].filter(isNew))];
    })),
  );
  wrong.push(...(await damages(run)));
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
async function ask(run: Run, targets: readonly string[]): Promise<string[]> {
  const { jobs, root } = run;
  await learn(run, targets, (name) => isWithin(name, root));
  return jobs.ask(root, targets);
}

/** Announces the policy's newest snapshot. There is no job to ask for. */
async function announce(run: Run, number: number): Promise<string[]> {
  const { world, jobs, policy } = run;
  await learn(
    run,
    world.targets.map(({ name }) => name),
    (name) => name === policy,
  );
  jobs.announce(`${policy}@${number}-0`);
  return [];
}

/** The model learns what is sent from here on. */
async function learn(
  { world, model, expectedStates }: Run,
  targets: readonly string[],
  isSent: (dataset: string) => boolean,
): Promise<void> {
  const source = await listed(world.source, world.source.pool);
  for (const target of targets) model.sent(target, source, source.datasets.filter(isSent));
  for (const expectedState of expectedStates) await expectedState.learn(source);
}

const differences = async ({ world, model }: Run): Promise<string[]> =>
  (await listingsOf(world)).flatMap(({ name, listing }) => model.differences(name, listing));

async function damages({ world, expectedStates }: Run): Promise<string[]> {
  const listings = await listingsOf(world);
  const each = expectedStates.map((expectedState, at) =>
    expectedState.wrong(listings[at]?.listing ?? { datasets: [], snapshots: [] }),
  );
  return (await Promise.all(each)).flat();
}
