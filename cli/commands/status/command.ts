import type { Command } from 'commander';
import { forgetStatus } from '../../../lib/bus/status/store.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { parseDuration } from '../../args/duration.ts';
import { parseSource, parseTarget } from '../../args/names.ts';
import { thisHost } from '../../args/this-host.ts';
import { type Cli, type JsonOption, withBus } from '../../context.ts';
import { exit, usage } from '../../exit-codes.ts';
import { unknown } from './check.ts';
import { parseFilter } from './filter.ts';
import { showJobs } from './jobs.ts';
import { checkFleet, type FleetView, followFleet, showFleet } from './replication.ts';

interface Options extends JsonOption {
  watch?: true;
  jobs?: true;
  check?: true;
  stale?: string;
  forget?: string;
}

export function addStatus(program: Command, cli: Cli): void {
  program
    .command('status')
    .summary('show how far every replication is')
    .description(
      'Shows how far every dataset is on each of its targets, as their senders have written it down (KV bucket zfs-status). ' +
        'With a host: the jobs and transfers of that host; ended jobs for as long as its sender remembers. ' +
        'With a dataset: its rows, and those of all below it.',
    )
    .argument(
      '[place]',
      'HOST: its jobs and transfers, with --check its rows; DATASET or HOST:DATASET: rows that have it on either side, a name or ' +
        'a pattern; with --forget the target, DST or DST:DATASET',
    )
    .option('-w, --watch', 'go on showing it, until Ctrl-C')
    .option('--jobs', 'jobs and transfers of all hosts that answer')
    .option('--check', 'one line for a monitoring system: exit status 2 for failed rows, 1 for stale ones, 3 for none')
    .option(
      '--stale <duration>',
      'a row is stale where its source was not listed for so long, as in 90s, 30m, 26h or 7d',
    )
    .option('--forget <source>', 'drop the row of [SRC:]DATASET, which is sent to that target no more')
    .option('--json', 'print JSON; with --watch a line each time')
    .addHelpText('after', help)
    .action(cli.action((place: string | undefined, options: Options) => status(cli, place, options)));
}

const help = `
LAG, BYTES and TIME are what the source had and the target had not when the source was listed last, which is AS OF.
STATE is
  failed   the last run failed
  stale    the source was not listed for too long: for more than --stale, or twice send.reconcileMinutes where a zpsend sender
           runs, or 26h. Nobody knows what the target lacks
  silent   a sender that was sending has written nothing for half a minute
  stored   the target, which was away, finds in the store all that it lacks (zpsend store ls SRC lists that)
  behind, current, running, waiting
Failed, stale and silent rows come first. A dataset is a name or a pattern with a "/", "*" or "?" in it; ":zones" is a pool.
Exit status with --check: 0 ok, 1 stale or silent rows, 2 failed rows, 3 unknown.

Examples:
  zpsend status
  zpsend status -w
  zpsend status zones/vm
  zpsend status smos-01 -w
  zpsend status --check --stale 26h 'zones/vm/**'
  zpsend status --forget smos-01:zones/old smos-00`;

async function status(cli: Cli, place: string | undefined, options: Options): Promise<number> {
  if (options.check) return check(cli, place, options);
  if (options.forget !== undefined) return forget(cli, options.forget, place);
  const view = viewOf(place, options);
  const { host, dataset } = view.filter;
  const how = { json: view.json, watch: options.watch === true };
  if (options.jobs && dataset !== undefined) throw usage(`--jobs ${place}: jobs are listed by host`);
  return withBus(cli, (bus) => {
    if (options.jobs || (host !== undefined && dataset === undefined)) return showJobs(bus, cli.io, host, how);
    return how.watch ? followFleet(bus, cli.io, view) : showFleet(bus, cli.io, view);
  });
}

const viewOf = (place: string | undefined, { json, stale }: Options): FleetView => ({
  json: json === true,
  filter: place === undefined ? {} : parseFilter(place),
  place,
  stale: stale === undefined ? undefined : parseDuration('--stale', stale),
});

/** Whatever fails, a monitoring system is given its one line, and the status for what is not known. */
async function check(cli: Cli, place: string | undefined, options: Options): Promise<number> {
  try {
    const other = (['watch', 'jobs', 'json', 'forget'] as const).find((option) => options[option] !== undefined);
    if (other) throw usage(`--check goes without --${other}`);
    const view = viewOf(place, options);
    return await withBus(cli, (bus) => checkFleet(bus, cli.io, view));
  } catch (thrown) {
    const { code, message } = ZpsendError.from(thrown);
    const { line, exit: status } = unknown(`${code}: ${message}`);
    cli.io.out(line);
    return status;
  }
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
