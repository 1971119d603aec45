import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { openTruth } from '../support/expected-state.ts';
import { openRandom } from '../support/random.ts';
import { openJobs } from './jobs.ts';
import { openModel } from './model.ts';
import { type Play, playCalmly, playRound, type Round } from './round.ts';
import { dealt, faults, sceneOf } from './scenarios.ts';
import { makeWorld } from './world.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20' },
    seed: { type: 'string' },
    /** Print what all services have logged in a round that went wrong. */
    verbose: { type: 'boolean', short: 'v', default: false },
  },
});
const rounds = Number(values.rounds);
const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed);
if (!Number.isSafeInteger(rounds) || rounds < 1 || !Number.isSafeInteger(seed)) {
  process.stderr.write('usage: npm run chaos -- [--rounds N] [--seed S] [-v]\n');
  process.exit(2);
}

const say = (text: string): void => void process.stdout.write(`${text}\n`);
say(`chaos: ${rounds} rounds on three NATS servers and two instances of each service, seed ${seed}`);

const [root, policy] = ['tank/tree', 'tank/told'];
const asked = ['a', 'b', 'c'].map((name) => `${root}/${name}`);
const targets = ['dst', 'site-b'];
const random = openRandom(seed);
const deck = dealt(random);
const world = await makeWorld(targets, policy);
const jobs = openJobs(world);
const struck: { fault: string; hit: boolean }[] = [];
let failed = 0;

/** One line, and of what is wrong a line each. */
function tell(name: string, { wrong }: Round, ms: number): void {
  say(`${name}, ${Math.round(ms / 1000)} s${wrong.length > 0 ? `, ${wrong.length} WRONG` : ''}`);
  for (const one of wrong) say(`    WRONG: ${one}`);
  const said = world.services.said();
  if (values.verbose && wrong.length > 0) for (const line of said) say(`    ${line}`);
  if (wrong.length > 0) failed += 1;
}

async function timed(name: (round: Round) => string, play: () => Promise<Round>): Promise<void> {
  const began = performance.now();
  const round = await play().catch((error: unknown): Round => ({ wrong: [String(error)] }));
  tell(name(round), round, performance.now() - began);
}

try {
  for (const dataset of [root, ...asked, policy]) await world.source.zfs('create', dataset);
  const truths = world.targets.map((target) => openTruth(world.source, target));
  const play: Play = { world, jobs, model: openModel(), truths, root, policy };
  await world.services.startMissing();
  // all targets are seen once: what is not known of one that is away cannot be sent to it
  await timed(
    () => 'begin',
    () => playCalmly(play, 0),
  );
  for (let round = 1; round <= rounds && failed < 3; round++) {
    const scene = sceneOf(deck, round - 1, random, {
      targets: targets.length,
      servers: world.servers.length,
      asked,
      policy,
    });
    const { way, fault } = scene;
    await timed(
      ({ hit }) => {
        struck.push({ fault, hit: hit !== undefined });
        return `round ${round}: ${way}, ${fault} (${hit ?? 'too late'})`;
      },
      () => playRound(play, scene, round),
    );
  }
  await timed(
    () => 'end',
    () => playCalmly(play, rounds + 1),
  );
} finally {
  jobs.stop();
  await world.end();
}

for (const fault of faults) {
  const those = struck.filter((one) => one.fault === fault);
  if (those.length > 0)
    say(`${fault}: ${those.length} rounds, ${those.filter(({ hit }) => hit).length} in mid-transfer`);
}
// one that hits nothing proves nothing
if (struck.filter(({ hit }) => hit).length < struck.length / 2) failed += 1;
say(`seed ${seed}: ${failed > 0 ? `${failed} failed` : 'all passed'}`);
process.exit(failed > 0 ? 1 : 0);
