import { setTimeout as sleep } from 'node:timers/promises';
import type { Code } from '../../schemas/errors.ts';
import type { Job } from '../../schemas/job.ts';
import { type ExpectedState, holdsOn, lost } from '../support/expected-state.ts';
import { type Listing, listed, snapshotsOf } from '../support/listing.ts';
import type { Random } from '../support/random.ts';
import { liveOn, meddle } from './moves.ts';
import type { Party, World } from './world.ts';

export const policies = ['refuse', 'rollback', 'rotate'] as const;
type Policy = (typeof policies)[number];

/** What one round did, and what was wrong after it. */
export interface Round {
  readonly policy: Policy;
  readonly killed: Party | undefined;
  readonly moves: readonly string[];
  readonly arrived: number;
  readonly refused: readonly string[];
  readonly wrong: readonly string[];
}

/** Where a dataset that is not sent is well explained; anything else is a fault. */
const explained: ReadonlySet<Code> = new Set(['DIVERGED', 'EXISTS', 'MODIFIED', 'ORIGIN_MISSING', 'UNSUPPORTED']);
const mostTries = 5;

/** Changes the source, replicates it while a process is killed, and checks the result. */
export async function playRound(
  world: World,
  expectedState: ExpectedState,
  random: Random,
  round: number,
  { root, backup }: { root: string; backup: string },
): Promise<Round> {
  const { source, target } = world;
  const moves = await liveOn(source, root, random, round);
  const meddled = await meddle(target, backup, random, round);
  if (meddled) moves.push(`(target) ${meddled}`);
  const [sourceNow, before] = [await listed(source, root), await listed(target, target.pool)];
  await expectedState.learn(sourceNow);

  const policy = random.pick(policies) ?? 'refuse';
  const request = {
    dataset: root,
    to: { host: target.name, dataset: backup },
    package: 'replication' as const,
    conflict: policy,
    parallel: 1 + random.below(3),
  };
  const killed = random.chance(0.6) ? random.pick<Party>(['sender', 'receiver', 'nats']) : undefined;
  let arrived = 0;
  let first: string | undefined;
  if (killed) {
    first = await world.begin(request);
    await sleep(random.below(2500));
    arrived += (await world.status(first))?.done ?? 0;
    await world.kill(killed);
    await sleep(random.below(500));
    await world.revive(killed);
  }
  let last: Job | undefined;
  for (let tries = 0; tries < mostTries && !(last && isSettled(last)); tries++) {
    last = await ended(world, await world.begin(request));
    arrived += last?.done ?? 0;
  }
  // where its sender lives the first job has gone on by itself
  if (first !== undefined && killed !== 'sender') await ended(world, first);
  const after = await listed(target, target.pool);
  const wrong = [
    ...(last ? resultComplaints(last, sourceNow, after) : ['the job was forgotten']),
    ...lossComplaints(policy, sourceNow, before, after),
    ...(await expectedState.wrong(after)),
    ...(await world.locks()).map((lock) => `a lock is left: ${lock}`),
    ...(await holdsOn(source)).map((hold) => `a hold is left on the source: ${hold}`),
    ...(await holdsOn(target))
      .filter((hold) => !hold.endsWith(' zpsend:base'))
      .map((hold) => `a hold is left on the target: ${hold}`),
  ];
  const refused = (last?.datasets.list ?? []).flatMap(({ dataset, error }) =>
    error ? [`${dataset} ${error.code}`] : [],
  );
  return { policy, killed, moves, arrived, refused, wrong };
}

async function ended(world: World, job: string): Promise<Job | undefined> {
  for (let unknown = 0; unknown < 100; ) {
    const known = await world.status(job);
    if (known && ['done', 'failed'].includes(known.state)) return known;
    if (!known) unknown += 1;
    await sleep(100);
  }
  return undefined;
}

const failures = ({ error, datasets }: Job) => [
  ...(error ? [error] : []),
  ...datasets.list.flatMap((one) => (one.error ? [one.error] : [])),
];

/** Nothing that trying again would help. */
const isSettled = (job: Job): boolean => failures(job).every(({ retryable }) => !retryable);

function resultComplaints(job: Job, source: Listing, after: Listing): string[] {
  const unexplained = failures(job)
    .filter(({ code }) => !explained.has(code))
    .map(({ code, message }) => `failed: ${code}: ${message}`);
  const incomplete = job.datasets.list.flatMap(({ dataset, targetDataset, state }) => {
    const newest = snapshotsOf(source, dataset).at(-1);
    if (state !== 'done' || newest === undefined) return [];
    const there = snapshotsOf(after, targetDataset).some(({ guid }) => guid === newest.guid);
    return there ? [] : [`${dataset} is done, but ${targetDataset} lacks ${newest.name} (${newest.guid})`];
  });
  return [...unexplained, ...incomplete];
}

/** Only a rollback may take snapshots away, and none that the source has. */
function lossComplaints(policy: Policy, source: Listing, before: Listing, after: Listing): string[] {
  const onSource = new Set(source.snapshots.map(({ guid }) => guid));
  return [...lost(before, after)]
    .filter(([guid]) => policy !== 'rollback' || onSource.has(guid))
    .map(([guid, name]) => `lost under ${policy}: ${name} (${guid})`);
}
