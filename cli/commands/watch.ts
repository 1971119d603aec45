import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Bus } from '../../lib/bus/connect.ts';
import { requestInventory } from '../../lib/bus/listing.ts';
import { publishSnapshotCreated } from '../../lib/bus/snapshot-events.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import { type Cli, withBus } from '../cli.ts';
import { exit, usage } from '../exit.ts';
import { catchInterrupt } from '../interrupt.ts';
import { parsePlace } from '../location.ts';
import { newSnapshots, type Seen, seenIn } from '../new-snapshots.ts';
import { thisHost } from '../this-host.ts';

interface Options {
  interval: string;
}

export function addWatch(program: Command, cli: Cli): void {
  program
    .command('watch')
    .summary('tell the sender of a host about new snapshots')
    .description(
      'Lists a host again and again, and publishes zfs.<host>.event.snapshot.created for what is new: for systems without ZED.',
    )
    .argument('<place>', 'HOST, HOST:DATASET with all below it, or a DATASET of this host')
    .option('--interval <time>', 'from one listing to the next, as in 10s, 2m', '10s')
    .addHelpText('after', help)
    .action(cli.action((place: string, options: Options) => watch(cli, place, options)));
}

const help = `
What is there at the beginning is not told: the sender looks by itself when it starts, and every send.reconcileMinutes.
It runs until Ctrl-C, and goes on when the host does not answer.

Example:
  zpsend watch smos-01:zones/vm --interval 5`;

/** @returns the exit status */
async function watch(cli: Cli, place: string, { interval }: Options): Promise<number> {
  const { host, dataset } = parsePlace(place, thisHost(cli.env));
  const seconds = Number(interval);
  if (!(seconds >= 0.1 && seconds <= 86_400)) throw usage(`--interval ${interval}: seconds, from 0.1 to 86400`);
  const what = dataset === undefined ? {} : { dataset, recursive: true };
  const interrupt = catchInterrupt();
  const wait = () => sleep(seconds * 1000, undefined, { signal: interrupt.signal }).catch(() => {});
  try {
    return await withBus(cli, async (bus) => {
      let seen: Seen | undefined;
      while (!interrupt.signal.aborted) {
        seen = await look(cli, bus, host, what, seen);
        await wait();
      }
      return exit.done;
    });
  } finally {
    interrupt.stop();
  }
}

/**
 * One listing; what is new since the last is published.
 * @returns what is there now, or `before` where the host did not answer
 */
async function look(
  { io }: Cli,
  bus: Bus,
  host: string,
  what: { dataset?: string; recursive?: boolean },
  before: Seen | undefined,
): Promise<Seen | undefined> {
  try {
    const { datasets } = await requestInventory(bus, host, what);
    for (const snapshot of before ? newSnapshots(before, datasets) : []) {
      publishSnapshotCreated(bus, host, snapshot);
      io.out(snapshot);
    }
    return seenIn(datasets);
  } catch (thrown) {
    const { code, message } = ZpsendError.from(thrown);
    io.err(`zpsend: ${code}: ${message}`);
    return before;
  }
}
