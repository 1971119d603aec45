import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { holdsOn, openExpectedState } from '../support/expected-state.ts';
import { listed } from '../support/listing.ts';
import { openRandom } from '../support/random.ts';
import { plantTree, untangle } from './moves.ts';
import { playRound, policies, type Round } from './round.ts';
import { makeWorld, type World } from './world.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20' },
    seed: { type: 'string' },
    /** On this machine's own OpenZFS instead of the simulator; needs root. */
    real: { type: 'boolean', default: process.env.ZPSEND_REAL_ZFS === '1' },
    verbose: { type: 'boolean', short: 'v', default: false },
  },
});
const rounds = Number(values.rounds);
const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed);
if (!Number.isSafeInteger(rounds) || rounds < 1 || !Number.isSafeInteger(seed)) {
  process.stderr.write('usage: npm run soak -- [--rounds N] [--seed S] [--real] [-v]\n');
  process.exit(2);
}
/** A target lives for so many rounds; then its administrator throws it away and begins another. */
const targetLives = 12;

const print = (text: string): void => void process.stdout.write(`${text}\n`);
print(`soak: ${rounds} rounds on ${values.real ? 'real ZFS' : 'the simulator'}, seed ${seed}`);

/** Destroys a backup as its administrator would: what zpsend holds there is let go first. */
async function clear({ target }: World, backup: string): Promise<void> {
  for (const hold of await holdsOn(target)) {
    const at = hold.lastIndexOf(' ');
    await target.attempt('release', hold.slice(at + 1), hold.slice(0, at));
  }
  for (const name of (await listed(target, target.pool)).datasets.toReversed()) {
    if (name !== target.pool && (name === backup || name.startsWith(`${backup}`)))
      await target.attempt('destroy', '-R', name);
  }
}

const random = openRandom(seed);
const world = await makeWorld(values.real);
const played: Round[] = [];
let failed = 0;
try {
  const root = `${world.source.pool}/tree`;
  await plantTree(world.source, root, world.keyFile);
  const expectedState = openExpectedState(world.source, world.target);
  for (let round = 1; round <= rounds; round++) {
    const life = Math.floor((round - 1) / targetLives);
    const backup = `${world.target.pool}/backup${life}`;
    if (life > 0 && (round - 1) % targetLives === 0) {
      await clear(world, `${world.target.pool}/backup${life - 1}`);
      await untangle(world.source, root);
    }
    const result = await playRound(world, expectedState, random, round, { root, backup });
    played.push(result);
    const { policy, killed, arrived, refused, wrong, moves } = result;
    print(
      `round ${round}: ${policy}${killed ? `, ${killed} killed` : ''}, ${arrived} steps arrived, ${refused.length} refused` +
        (wrong.length > 0 ? `, ${wrong.length} WRONG` : ''),
    );
    if (values.verbose || wrong.length > 0) for (const move of moves) print(`    ${move}`);
    if (values.verbose) for (const one of refused) print(`    refused: ${one}`);
    for (const one of wrong) print(`    WRONG: ${one}`);
    if (wrong.length > 0 && ++failed === 3) break;
  }
} finally {
  await world.end();
}

for (const policy of policies) {
  const those = played.filter((one) => one.policy === policy);
  const sum = (count: (one: Round) => number): number => those.reduce((total, one) => total + count(one), 0);
  print(
    `${policy}: ${those.length} rounds, ${sum(({ arrived }) => arrived)} steps arrived, ` +
      `${sum(({ refused }) => refused.length)} datasets refused, ${sum(({ killed }) => (killed ? 1 : 0))} kills`,
  );
}
// a soak in which nothing is sent proves nothing
const arrived = played.reduce((total, one) => total + one.arrived, 0);
if (arrived < 5 * played.length) failed += 1;
print(`${played.length - failed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
