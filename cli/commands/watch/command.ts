import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import { z } from 'zod';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { publishSnapshotCreated } from '../../../lib/bus/events/snapshot-events.ts';
import { requestInventory } from '../../../lib/bus/rpc/inventory-parts.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { duration as durationIn } from '../../../schemas/units.ts';
import { parseLocation } from '../../args/names.ts';
import { valueBy } from '../../args/option-values.ts';
import { thisHost } from '../../args/this-host.ts';
import { type Cli, withBus } from '../../context.ts';
import { exit } from '../../exit-codes.ts';
import { counted, duration } from '../../output/format.ts';
import { catchInterrupt } from '../../output/interrupt.ts';
import { type ListedSnapshots, newSnapshots, snapshotsIn } from './new-snapshots.ts';

interface Options {
  /** Seconds. */
  interval: number;
}

const intervalSchema = durationIn(z.number().min(0.1).max(86_400), 1, 'seconds');

export function addWatch(program: Command, cli: Cli): void {
  program
    .command('watch')
    .summary('publish an event for each new snapshot of a host')
    .description('List a host again and again, and publish an event for each new snapshot.')
    .argument('<location>', 'HOST, HOST:DATASET with all descendants, or DATASET')
    .addOption(
      new Option('--interval <time>', 'time between two listings (10s, 2m)')
        .argParser(valueBy(intervalSchema, 'from 0.1 s to a day, as in 10s, 2m'))
        .default(10, '10s'),
    )
    .addHelpText('after', help)
    .action(cli.action((location: string, options: Options) => watch(cli, location, options)));
}

const help = `
The event is zfs.HOST.event.snapshot.created, which triggers the policies of the
host. Use this on systems without ZED. Snapshots that exist at the start have no
event: a sender compares both sides when it starts. The command runs until
Ctrl-C, also while the host does not answer. If the dataset does not exist at
the start, it exits with 1.

Example:
  zpsend watch smos-01:zones/vm --interval 5s`;

/** @returns the exit status */
async function watch(cli: Cli, location: string, { interval: seconds }: Options): Promise<number> {
  const { host, dataset } = parseLocation(location, thisHost(cli.env));
  const what = dataset === undefined ? {} : { dataset, recursive: true };
  const interrupt = catchInterrupt();
  const wait = () => sleep(seconds * 1000, undefined, { signal: interrupt.signal }).catch(() => {});
  try {
    return await withBus(cli, async (bus) => {
      let known: Known = {};
      while (!interrupt.signal.aborted) {
        known = await listOnce(cli, bus, { host, what, every: seconds }, known);
        await wait();
      }
      return exit.done;
    });
  } finally {
    interrupt.stop();
  }
}

interface Watched {
  readonly host: string;
  readonly what: { dataset?: string; recursive?: boolean };
  /** Seconds. */
  readonly every: number;
}

interface Known {
  readonly seen?: ListedSnapshots;
  /** Why the last listing failed. */
  readonly failed?: string;
}

/**
 * Lists once, and publishes an event for each new snapshot.
 * @returns the listed snapshots, or those before if the host did not answer
 * @throws ZpsendError NO_SUCH_DATASET if the first listing lacks the dataset
 */
async function listOnce(
  { io }: Cli,
  bus: Bus,
  { host, what, every }: Watched,
  { seen, failed }: Known,
): Promise<Known> {
  try {
    const { datasets } = await requestInventory(bus, host, what);
    if (!seen)
      io.err(`watching ${locationOf(host, what)} every ${duration(every)}: ${counted(datasets.length, 'dataset')}`);
    else if (failed !== undefined) io.err(`${host} answers again`);
    for (const snapshot of seen ? newSnapshots(seen, datasets) : []) {
      publishSnapshotCreated(bus, host, snapshot);
      io.out(snapshot);
    }
    return { seen: snapshotsIn(datasets) };
  } catch (thrown) {
    const error = ZpsendError.from(thrown);
    if (!seen && error.code === 'NO_SUCH_DATASET') throw error;
    const text = `${error.code}: ${error.message}`;
    if (text !== failed) io.err(`zpsend: ${text}; retrying every ${duration(every)}`);
    return { ...(seen && { seen }), failed: text };
  }
}

const locationOf = (host: string, { dataset }: Watched['what']): string =>
  dataset === undefined ? host : `${host}:${dataset}`;
