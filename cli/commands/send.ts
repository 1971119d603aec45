import type { Command } from 'commander';
import type { SendStarted } from '../../schemas/job.ts';
import { withColonHint } from '../args/colon-pool.ts';
import { packageHelp, type SendOptions, withSendOptions } from '../args/send-options.ts';
import { type Requests, requestsOf } from '../args/send-request.ts';
import { thisHost } from '../args/this-host.ts';
import { followJobs } from '../client/job-follower.ts';
import { type Outcome, runJobs, startJobs } from '../client/run-jobs.ts';
import { withSender } from '../client/sender.ts';
import { type Cli, type JsonOption, withBus } from '../context.ts';
import { exit, exitForAll, type TargetResult } from '../exit-codes.ts';
import { jobErrorLines } from '../output/errors.ts';
import { catchInterrupt } from '../output/interrupt.ts';
import { hasFailedPartly, progressLine, resultLine } from '../output/job-progress.ts';
import { plan } from './plan.ts';

interface Options extends SendOptions, JsonOption {
  quiet?: true;
  dryRun?: true;
  detach?: true;
}

export function addSend(program: Command, cli: Cli): void {
  withSendOptions(program.command('send'))
    .summary('send snapshots to one or more hosts, and follow the jobs')
    .description('Send the snapshots that the targets lack: one full stream, then -i increments.')
    .argument('<source>', '[HOST:]DATASET[@SNAPSHOT] (default: this host)')
    .argument('<target...>', 'HOST[:DATASET] (default: the same name)')
    .option('-n, --dry-run', 'print what zpsend plan prints, and send nothing')
    .option('-q, --quiet', 'print only errors and failed jobs')
    .option('--detach', 'start the jobs, print their ids, and exit')
    .option('--json', 'print one JSON object for each target')
    .addHelpText('after', help)
    .action(cli.action((source: string, targets: string[], options: Options) => send(cli, source, targets, options)));
}

const help = `${packageHelp}

A pool with a colon in its name needs a colon before it: ":my:pool/data".
-n has the exit status of zpsend plan.
Ctrl-C aborts the jobs. The same command continues from what has arrived.
--detach needs a running zpsend sender on the source host.
Exit status: 0 done or nothing to do, 1 failed, 2 wrong usage, 3 some targets or
some datasets of a package failed, 130 interrupted.

Examples:
  zpsend send zones/test smos-00                   # every snapshot
  zpsend send smos-01:zones/test@now smos-00       # up to @now, from smos-01
  zpsend send zones/test smos-00 dr-1:backup/test  # to two hosts
  zpsend send -i @a zones/test@b smos-00           # one increment
  zpsend send --full zones/test@b smos-00          # one full stream
  zpsend send -R zones/vm@now smos-00              # with all descendants
  zpsend send -rc zones/vm@now smos-00             # only @now of each dataset
  zpsend send -R -d zones/vm smos-00:backup        # into backup/vm
  zpsend send -R --exclude '*/tmp' --snapshots 'daily-*' zones/vm smos-00`;

/** @returns the exit status */
export async function send(cli: Cli, source: string, targets: string[], options: Options): Promise<number> {
  if (options.dryRun) return plan(cli, source, targets, options);
  const { io } = cli;
  // the jobs continue without a reader of their output
  io.ignoreClosedPipe();
  const { host, requests } = requestsOf(source, targets, options, thisHost(cli.env));
  if (options.detach) return detached(cli, { host, requests }, options);
  const isSilent = Boolean(options.quiet || (options.json && !io.isTerminal));
  const interrupt = catchInterrupt();
  const outcomes = await withBus(cli, (bus) =>
    withSender(cli, bus, host, async (route) => {
      const follower = followJobs(bus, route, (lines) => {
        if (isSilent) return;
        if (io.isTerminal) io.live(follower.followed().map(progressLine));
        else lines.forEach(io.err);
      });
      try {
        const ended = await runJobs(route, follower, requests, interrupt.signal, isSilent ? () => {} : io.err);
        return await Promise.all(ended.map((outcome) => hinted(cli, outcome)));
      } finally {
        follower.stop();
        io.live([]);
      }
    }),
  ).finally(interrupt.stop);
  for (const outcome of outcomes) report(cli, afterInterrupt(outcome, interrupt.signal), options);
  return interrupt.signal.aborted ? exit.interrupted : exitForAll(outcomes.map(resultOf));
}

/** With a hint if the target may be a pool of this host. */
async function hinted(cli: Cli, outcome: Outcome): Promise<Outcome> {
  if (!outcome.error) return outcome;
  const error = await withColonHint(cli, outcome.error);
  return { ...outcome, error, ...(outcome.job && { job: { ...outcome.job, error } }) };
}

/** Starts the jobs only. A private sender would end with this command. @returns the exit status */
async function detached(
  cli: Cli,
  { host, requests }: Pick<Requests, 'host' | 'requests'>,
  { quiet, json }: Options,
): Promise<number> {
  const { io } = cli;
  const interrupt = catchInterrupt();
  const jobs = await withBus(cli, (bus) =>
    withSender(cli, bus, host, (route) => startJobs(route, requests, interrupt.signal, quiet ? () => {} : io.err), {
      privateAllowed: false,
    }),
  ).finally(interrupt.stop);
  for (const job of jobs) io.out(json ? JSON.stringify({ job, host } satisfies SendStarted) : job);
  if (!quiet && !json) io.err(`${host} continues: zpsend status ${host} shows the jobs, zpsend abort JOB aborts one`);
  return exit.done;
}

function report({ io }: Cli, { job, error }: Outcome, { json, quiet }: Options): void {
  if (json) {
    io.out(JSON.stringify(job ?? { error }));
    return;
  }
  if (!quiet) for (const { message } of job?.notes ?? []) io.err(`note: ${message}`);
  if (error) jobErrorLines(error, job).forEach(io.err);
  if (job && (error || !quiet)) io.out(resultLine(job));
}

/** After a Ctrl-C: the sender's error would name the abort request. */
function afterInterrupt(outcome: Outcome, { aborted }: AbortSignal): Outcome {
  const { job, error } = outcome;
  if (!aborted || error?.code !== 'ABORTED') return outcome;
  const then = job?.channel === 'store' ? 'continues with what is not stored yet' : 'continues from what has arrived';
  return { ...outcome, error: { ...error, message: `interrupted; the same command ${then}` } };
}

/** A job that did not try every dataset has failed as a whole. */
function resultOf({ job, error }: Outcome): TargetResult {
  return job && hasFailedPartly(job) ? 'partly' : error?.code;
}
