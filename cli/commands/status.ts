import type { Command } from 'commander';
import { forgetStatus } from '../../lib/bus/status/store.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import { type Cli, type JsonOption, withBus } from '../cli.ts';
import { exit, usage } from '../exit.ts';
import { followFleet, showFleet } from '../fleet-status.ts';
import { showJobs } from '../job-status.ts';
import { parseHost, parseSource, parseTarget } from '../location.ts';
import { thisHost } from '../this-host.ts';

interface Options extends JsonOption {
  watch?: true;
  jobs?: true;
  forget?: string;
}

export function addStatus(program: Command, cli: Cli): void {
  program
    .command('status')
    .summary('show how far every replication is')
    .description(
      'Shows how far every dataset is on each of its targets, as their senders have written it down (KV bucket zfs-status). ' +
        'With a host: the jobs and transfers of that host; ended jobs for as long as its sender remembers.',
    )
    .argument('[host]', 'jobs and transfers of that host; with --forget the target, DST or DST:DATASET')
    .option('-w, --watch', 'go on showing it, until Ctrl-C')
    .option('--jobs', 'jobs and transfers of all hosts that answer')
    .option('--forget <source>', 'drop the row of [SRC:]DATASET, which is sent to that target no more')
    .option('--json', 'print JSON; with --watch a line each time')
    .addHelpText('after', help)
    .action(cli.action((place: string | undefined, options: Options) => status(cli, place, options)));
}

const help = `
LAG, BYTES and TIME are what the source had and the target had not when the source was listed last, which is AS OF.
STATE is stored where the target, which was away, finds all that it has not in the store (zpsend fetch SRC lists that), and
silent where a sender that was sending has said nothing for half a minute.

Examples:
  zpsend status
  zpsend status -w
  zpsend status smos-01 -w
  zpsend status --forget smos-01:zones/old smos-00`;

async function status(cli: Cli, place: string | undefined, options: Options): Promise<number> {
  const how = { json: options.json === true, watch: options.watch === true };
  if (options.forget !== undefined) return forget(cli, options.forget, place);
  if (place !== undefined) parseHost(place);
  return withBus(cli, (bus) => {
    if (place !== undefined || options.jobs) return showJobs(bus, cli.io, place, how);
    return how.watch ? followFleet(bus, cli.io, how.json) : showFleet(bus, cli.io, how.json);
  });
}

async function forget(cli: Cli, from: string, to: string | undefined): Promise<number> {
  if (to === undefined) throw usage(`--forget ${from}: name the target too, as in --forget ${from} smos-00`);
  const here = thisHost(cli.env);
  const { host: source, dataset } = parseSource(from, here);
  if (dataset.includes('@')) throw usage(`--forget ${from}: a row is of a dataset, not of a snapshot`);
  const { host: target, dataset: into = dataset } = parseTarget(to, here);
  const place = { source, dataset, target, into };
  await withBus(cli, async (bus) => {
    if (await forgetStatus(bus, place)) return;
    throw new ZpsendError(
      'NO_SUCH_DATASET',
      `no row of ${source}:${dataset} to ${target}:${into}; what there is: zpsend status`,
      { host: source },
    );
  });
  return exit.done;
}
