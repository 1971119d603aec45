import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { measureFanOut } from './fan-out.ts';
import { measureListing } from './listing.ts';
import { measurePlanning } from './planning.ts';
import { report } from './report.ts';
import { measureSlowPool } from './slow.ts';
import { startSshd } from './ssh.ts';
import { measureSteps } from './steps.ts';
import { measureStreams } from './stream.ts';
import { measureTriggers } from './triggers.ts';
import { makeWorld } from './world.ts';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    /** A tenth of everything, once: to see that it runs. */
    quick: { type: 'boolean', default: false },
    /** Only the streams. */
    streams: { type: 'boolean', default: false },
  },
});
const say = (text: string): void => void process.stderr.write(`${text}\n`);
const { quick } = values;

const world = await makeWorld();
const sshd = await startSshd(join(world.folder, 'ssh'));
if (typeof sshd === 'string') say(`WITHOUT ssh, which is what the direct channel is measured against: ${sshd}`);
try {
  say(`a stream of ${quick ? '0.4 GB, every way once' : '4 GB, every way in turn, three times'} ...`);
  const ssh = typeof sshd === 'string' ? undefined : sshd;
  const streams = await measureStreams(world, ssh, quick ? 400e6 : 4e9, quick ? 1 : 3);
  const results = { machine: { cores: cpus().length, model: cpus()[0]?.model ?? '', node: process.version }, streams };
  if (values.streams) {
    process.stdout.write(values.json ? `${JSON.stringify(results, null, 2)}\n` : report(results));
  } else {
    say('one stream to three receivers ...');
    const fan = await measureFanOut(world, quick ? 200e6 : 2e9, quick ? 1 : 3);
    say('a pool that takes 1 MB/s ...');
    const slow = await measureSlowPool(world, quick ? 5 : 60);
    say('tiny incrementals ...');
    const steps = await measureSteps(world, quick ? 20 : 200);
    say('from an event to its arrival ...');
    const triggers = await measureTriggers(world, quick ? 10 : 200);
    say('a list of many snapshots ...');
    const listing = await measureListing(world, quick ? 10_000 : 100_000);
    say('plans of packages ...');
    const planning = await measurePlanning(quick ? 1000 : 10_000);
    const all = { ...results, fan, slow, steps, triggers, listing, planning };
    process.stdout.write(values.json ? `${JSON.stringify(all, null, 2)}\n` : report(all));
  }
} finally {
  if (typeof sshd !== 'string') await sshd.stop();
  await world.end();
}
