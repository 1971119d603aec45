import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { measureFanOut } from './fan-out.ts';
import { measureListing } from './listing.ts';
import { measurePlanning } from './planning.ts';
import { type Parts, type Results, report } from './report.ts';
import { measureSlowPool } from './slow-pool.ts';
import { startSshd } from './ssh.ts';
import { measureSteps } from './steps.ts';
import { measureStore } from './store.ts';
import { measureStreams } from './stream.ts';
import { measureTriggers } from './triggers.ts';
import { makeWorld } from './world.ts';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    /** Runs a tenth of everything once, to check that it works. */
    quick: { type: 'boolean', default: false },
    /** The parts to run; all if absent. */
    only: { type: 'string', multiple: true },
  },
});
const log = (text: string): void => void process.stderr.write(`${text}\n`);
const { quick } = values;
const rounds = quick ? 1 : 3;

const world = await makeWorld();
const sshd = await startSshd(join(world.folder, 'ssh'));
if (typeof sshd === 'string') log(`WITHOUT ssh, the baseline of the direct channel: ${sshd}`);
const ssh = typeof sshd === 'string' ? undefined : sshd;

const parts: { readonly [Part in keyof Parts]: readonly [what: string, run: () => Promise<Parts[Part]>] } = {
  streams: [
    `a stream of ${quick ? '0.4 GB, each transport once' : '4 GB, each transport in turn, three times'}`,
    () => measureStreams(world, ssh, quick ? 400e6 : 4e9, rounds),
  ],
  fan: ['one stream to three receivers', () => measureFanOut(world, quick ? 200e6 : 2e9, quick ? 1 : 5)],
  store: ['one stream through the store', () => measureStore(world, quick ? 200e6 : 2e9, rounds)],
  slow: ['a pool that takes 1 MB/s', () => measureSlowPool(world, quick ? 5 : 60)],
  steps: ['tiny incrementals', () => measureSteps(world, quick ? 20 : 200)],
  triggers: ['from an event to its arrival', () => measureTriggers(world, quick ? 10 : 200)],
  listing: ['a list of many snapshots', () => measureListing(world, quick ? 10_000 : 100_000)],
  planning: ['plans of packages', () => measurePlanning(quick ? 1000 : 10_000)],
};

const names = Object.keys(parts) as (keyof Parts)[];
const unknown = values.only?.find((name) => !names.some((one) => one === name));
if (unknown !== undefined) {
  log(`--only ${unknown}: one of ${names.join(', ')}`);
  process.exitCode = 2;
}
const wanted = unknown === undefined ? names.filter((name) => values.only?.includes(name) ?? true) : [];

try {
  const results: Results = { machine: { cores: cpus().length, model: cpus()[0]?.model ?? '', node: process.version } };
  for (const name of wanted) {
    const [what, run] = parts[name];
    log(`${what} ...`);
    Object.assign(results, { [name]: await run() });
  }
  if (wanted.length > 0) process.stdout.write(values.json ? `${JSON.stringify(results, null, 2)}\n` : report(results));
} finally {
  await ssh?.stop();
  await world.end();
}
