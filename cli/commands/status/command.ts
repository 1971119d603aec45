import { type Command, Option } from 'commander';
import { forgetStatus } from '../../../lib/bus/status/store.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { hostSchema } from '../../../schemas/names.ts';
import { parseDuration } from '../../args/duration.ts';
import { parseSource, parseTarget } from '../../args/names.ts';
import { valueBy } from '../../args/option-values.ts';
import { thisHost } from '../../args/this-host.ts';
import { type Cli, type JsonOption, withBus } from '../../context.ts';
import { exit, usage } from '../../exit-codes.ts';
import { unknown } from './check.ts';
import { type FleetFilter, parseFilter, states, statesIn } from './filter.ts';
import { showJobs } from './jobs.ts';
import { checkFleet, type FleetView, followFleet, readFleet, showFleet } from './replication.ts';

interface Options extends JsonOption {
  watch?: true;
  jobs?: true;
  check?: true;
  stale?: string;
  source?: string;
  target?: string;
  state?: FleetFilter['states'];
  forget?: string;
}

export function addStatus(program: Command, cli: Cli): void {
  program
    .command('status')
    .summary("show the state of every replication, or a host's jobs")
    .description('Show the state of every replication, or the jobs and transfers of a host.')
    .argument('[location]', 'HOST, DATASET or HOST:DATASET (default: all)')
    .option('-w, --watch', 'update the output until Ctrl-C')
    .option('--source <host>', 'show only rows from this host', valueBy(hostSchema))
    .option('--target <host>', 'show only rows to this host', valueBy(hostSchema))
    .addOption(
      Object.assign(
        new Option('--state <state,...>', 'show only rows in these states (failed,stale)').argParser(statesIn),
        { argChoices: [...states] },
      ),
    )
    .option('--jobs', 'show the jobs and transfers of all hosts')
    .option('--check', 'print one line for a monitoring system')
    .option('--stale <duration>', 'age at which a row is stale (90s, 2h30m, 7d)')
    .option('--forget <source>', 'remove the row of [HOST:]DATASET to this target')
    .option('--json', 'print JSON; with --watch, an object for each change')
    .addHelpText('after', help)
    .action(cli.action((location: string | undefined, options: Options) => status(cli, location, options)));
}

const help = `
LOCATION:
  HOST      its jobs and transfers; with --check, its rows
  DATASET   rows with this dataset, or one below it, on either side: a name or a
            pattern with a "/", "*" or "?" in it (":zones" is a pool)
  With --forget it is the target, HOST or HOST:DATASET.

Each row is what a sender last wrote to the KV bucket zfs-status. LAG, BYTES and
TIME are what the target lacked when the source was last listed (AS OF).
STATE, in this order:
  failed    the last run failed
  stale     the last listing of the source is older than --stale; default:
            twice its send.reconcileMinutes, or 26h where no zpsend sender runs
  silent    a running sender has written nothing for 30 seconds
  stored    all that the target lacks is stored for it (zpsend store ls)
  running, waiting, behind, current
--source, --target and --state select rows, together with LOCATION. The last
line counts the rows. On a terminal, output longer than the screen is shown with
$PAGER (default: less -FRX), which no shell runs.
Exit status of --check: 0 ok, 1 stale or silent rows, 2 failed rows, 3 unknown.

Examples:
  zpsend status -w
  zpsend status zones/vm
  zpsend status --source smos-01 --state failed,stale
  zpsend status -w smos-01
  zpsend status --check --stale 26h 'zones/vm/**'
  zpsend status --forget smos-01:zones/old smos-00`;

async function status(cli: Cli, location: string | undefined, options: Options): Promise<number> {
  if (options.check) return check(cli, location, options);
  if (options.forget !== undefined) return forget(cli, options.forget, location);
  const view = viewOf(location, options);
  const { host, dataset } = view.filter;
  const how = { json: view.json, watch: options.watch === true };
  if (options.jobs && dataset !== undefined) throw usage(`--jobs ${location}: name a host, not a dataset`);
  if (options.jobs || (host !== undefined && dataset === undefined)) {
    const filter = filterNames.find((name) => options[name] !== undefined);
    if (filter) throw usage(`--${filter} selects rows, and not the jobs of a host: use --source HOST or --target HOST`);
    return withBus(cli, (bus) => showJobs(bus, cli.io, host, how));
  }
  if (how.watch) return withBus(cli, (bus) => followFleet(bus, cli.io, view));
  return showFleet(cli, await withBus(cli, (bus) => readFleet(bus, view)), view);
}

const filterNames = ['source', 'target', 'state'] as const;

function viewOf(location: string | undefined, options: Options): FleetView {
  const { json, stale, source, target, state } = options;
  const given = filterNames.flatMap((name) => (options[name] === undefined ? [] : [`--${name} ${options[name]}`]));
  const selection = [...(location === undefined ? [] : [location]), ...given].join(' ');
  return {
    json: json === true,
    filter: {
      ...(location !== undefined && parseFilter(location)),
      ...(source !== undefined && { source }),
      ...(target !== undefined && { target }),
      ...(state && { states: state }),
    },
    selection: selection === '' ? undefined : selection,
    stale: stale === undefined ? undefined : parseDuration('--stale', stale),
  };
}

/** Every error becomes one line with the status UNKNOWN, for the monitoring system. */
async function check(cli: Cli, location: string | undefined, options: Options): Promise<number> {
  try {
    const other = (['watch', 'jobs', 'json', 'forget'] as const).find((option) => options[option] !== undefined);
    if (other) throw usage(`--check cannot be used with --${other}`);
    const view = viewOf(location, options);
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
  if (dataset.includes('@')) throw usage(`--forget ${from}: name a dataset, not a snapshot`);
  const { host: target, dataset: into = dataset } = parseTarget(to, here);
  const row = { source, dataset, target, into };
  await withBus(cli, async (bus) => {
    if (await forgetStatus(bus, row)) return;
    throw new ZpsendError(
      'NO_SUCH_DATASET',
      `no row of ${source}:${dataset} to ${target}:${into}; zpsend status lists the rows`,
      { host: source },
    );
  });
  return exit.done;
}
