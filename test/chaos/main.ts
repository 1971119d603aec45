import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { openExpectedState } from '../support/expected-state.ts';
import { openRandom } from '../support/random.ts';
import { openJobs } from './jobs.ts';
import { openModel } from './model.ts';
import { type Round, type Run, runRound, runUndisturbed } from './round.ts';
import { faults, scenarioOf, shuffledDeck } from './scenarios.ts';
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

const print = (text: string): void => void process.stdout.write(`${text}\n`);
print(`chaos: ${rounds} rounds on three NATS servers and two instances of each service, seed ${seed}`);

const [root, policy] = ['tank/tree', 'tank/policy'];
const asked = ['a', 'b', 'c'].map((name) => `${root}/${name}`);
const targets = ['dst', 'site-b'];
const random = openRandom(seed);
const deck = shuffledDeck(random);
const world = await makeWorld(targets, policy);
const jobs = openJobs(world);
const results: { fault: string; hit: boolean }[] = [];
let failed = 0;

/** One line, and of what is wrong a line each. */
function report(name: string, { wrong }: Round, ms: number): void {
  print(`${name}, ${Math.round(ms / 1000)} s${wrong.length > 0 ? `, ${wrong.length} WRONG` : ''}`);
  for (const one of wrong) print(`    WRONG: ${one}`);
  const log = world.services.newLog();
  if (values.verbose && wrong.length > 0) for (const line of log) print(`    ${line}`);
  if (wrong.length > 0) failed += 1;
}

async function timed(name: (round: Round) => string, run: () => Promise<Round>): Promise<void> {
  const began = performance.now();
  const round = await run().catch((error: unknown): Round => ({ wrong: [String(error)] }));
  report(name(round), round, performance.now() - began);
}

try {
  for (const dataset of [root, ...asked, policy]) await world.source.zfs('create', dataset);
  const expectedStates = world.targets.map((target) => openExpectedState(world.source, target));
  const run: Run = { world, jobs, model: openModel(), expectedStates, root, policy };
  await world.services.startMissing();
  // all targets are seen once: what is not known of one that is away cannot be sent to it
  await timed(
    () => 'begin',
    () => runUndisturbed(run, 0),
  );
  for (let round = 1; round <= rounds && failed < 3; round++) {
    const scenario = scenarioOf(deck, round - 1, random, {
      targets: targets.length,
      servers: world.servers.length,
      asked,
      policy,
    });
    const { kind, fault } = scenario;
    await timed(
      ({ hit }) => {
        results.push({ fault, hit: hit !== undefined });
        return `round ${round}: ${kind}, ${fault} (${hit ?? 'too late'})`;
      },
      () => runRound(run, scenario, round),
    );
  }
  await timed(
    () => 'end',
    () => runUndisturbed(run, rounds + 1),
  );
} finally {
  jobs.stop();
  await world.end();
}

for (const fault of faults) {
  const those = results.filter((one) => one.fault === fault);
  if (those.length > 0)
    print(`${fault}: ${those.length} rounds, ${those.filter(({ hit }) => hit).length} in mid-transfer`);
}
// one that hits nothing proves nothing
if (results.filter(({ hit }) => hit).length < results.length / 2) failed += 1;
print(`seed ${seed}: ${failed > 0 ? `${failed} failed` : 'all passed'}`);
process.exit(failed > 0 ? 1 : 0);
