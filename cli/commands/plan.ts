import type { Command } from 'commander';
import { shortagesOf } from '../../lib/plan/placement/space.ts';
import { plan as planPurely } from '../../lib/plan/plan.ts';
import type { JobContext } from '../../lib/plan/request/job-context.ts';
import { timing } from '../../lib/time/timing.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import { isWithin } from '../../schemas/names.ts';
import type { PlanReply, Step } from '../../schemas/plan.ts';
import { withColonHint } from '../args/colon-pool.ts';
import { readInventories } from '../args/inventory-file.ts';
import { packageHelp, type SendOptions, withSendOptions } from '../args/send-options.ts';
import { type Requests, requestsOf } from '../args/send-request.ts';
import { thisHost } from '../args/this-host.ts';
import { withSender } from '../client/sender.ts';
import { type Cli, type JsonOption, withBus } from '../context.ts';
import { exitForAll, type TargetResult, usage } from '../exit-codes.ts';
import { errorLines } from '../output/errors.ts';
import { planLines } from '../output/plan.ts';

export interface PlanOptions extends SendOptions, JsonOption {
  inventory?: string;
}

export function addPlan(program: Command, cli: Cli): void {
  withSendOptions(program.command('plan'))
    .summary('show the steps that send would take')
    .description('Show the steps that send would take. Changes nothing.')
    .argument('<source>', '[HOST:]DATASET[@SNAPSHOT] (default: this host)')
    .argument('[target...]', 'HOST[:DATASET] (default: the same name)')
    .option('--inventory <file>', 'plan from saved listings, without NATS')
    .option('--json', 'print one JSON object for each target')
    .addHelpText('after', help)
    .action(
      cli.action((source: string, targets: string[], options: PlanOptions) => plan(cli, source, targets, options)),
    );
}

const help = `${packageHelp}

The plan asks the target's receiver what it allows (receive.allow). NO_SPACE is
an estimate: send tries all the same.
An inventory file is {"version":1,"source":LISTING,"target":LISTING}. zpsend
snapshots --json prints a listing. TARGET defaults to the host in the file.
Exit status: 0 planned or nothing to do, 1 refused, failed or no space, 2 wrong
usage or file, 3 some targets or some datasets of a package refused.

Examples:
  zpsend plan zones/test smos-00
  zpsend plan smos-01:zones/test@now smos-00:backup/test
  zpsend plan -R zones/vm@now smos-00              # with all descendants
  zpsend plan -rc -d zones/vm@now smos-00:backup   # only @now, into backup/vm
  zpsend plan --inventory both-sides.json zones/test`;

/** Prints the plan for each target. Changes nothing. @returns the exit status */
export async function plan(cli: Cli, source: string, targets: string[], options: PlanOptions): Promise<number> {
  const file = options.inventory === undefined ? undefined : readInventories(options.inventory);
  if (!file && targets.length === 0) throw usage('name a target: zpsend plan SOURCE HOST[:DATASET]');
  const order = requestsOf(
    source,
    targets.length > 0 ? targets : [file?.target.host ?? ''],
    options,
    file?.source.host ?? thisHost(cli.env),
  );
  const replies = file ? planFromFile(order, file) : await planOverBus(cli, order);
  replies.forEach((reply, at) => {
    const request = order.requests[at];
    if (options.json) cli.io.out(JSON.stringify(reply));
    else if (request) {
      planLines(request, reply).forEach(cli.io.out);
      refusalLines(reply).forEach(cli.io.err);
    }
  });
  return exitForAll(replies.map(resultOf));
}

const refusalLines = ({ plan, shortages = [] }: PlanReply): string[] =>
  plan.ok
    ? [
        ...(plan.refused ?? []).flatMap(({ dataset, error, evidence }) => errorLines(error, evidence, dataset)),
        ...shortages.flatMap((error) => errorLines(error)),
      ]
    : errorLines(plan.error, plan.evidence);

function resultOf({ plan, shortages = [] }: PlanReply): TargetResult {
  if (!plan.ok) return plan.error.code;
  const isTentative = ({ targetDataset }: Step): boolean =>
    shortages.some(({ details }) => isWithin(targetDataset, String(details?.dataset)));
  const [short] = shortages;
  if (short && !plan.refused?.length && plan.steps.every(isTentative)) return short.code;
  return short || plan.refused?.length ? 'partly' : undefined;
}

function planFromFile(
  { host, contexts }: Requests,
  { source, target }: ReturnType<typeof readInventories>,
): PlanReply[] {
  if (host !== source.host) throw usage(`the source in the file is ${source.host}, not ${host}`);
  const planned = (context: JobContext): PlanReply => {
    const plan = planPurely(context, source, target);
    const shortages = plan.ok ? shortagesOf(plan.steps, target) : [];
    return {
      sourceHost: source.host,
      targetHost: context.targetHost,
      ...(shortages.length > 0 && { shortages }),
      plan,
    };
  };
  return contexts.map(planned);
}

const planOverBus = (cli: Cli, { host, requests }: Requests): Promise<PlanReply[]> =>
  withBus(cli, (bus) =>
    withSender(cli, bus, host, (route) =>
      Promise.all(
        requests.map(async (request): Promise<PlanReply> => {
          try {
            return await route.plan(request, timing.cli.planMs);
          } catch (thrown) {
            // the other targets still get their plans
            if (requests.length === 1) throw thrown;
            return {
              sourceHost: host,
              targetHost: request.to.host,
              plan: { ok: false, error: await withColonHint(cli, ZpsendError.from(thrown).toBody()) },
            };
          }
        }),
      ),
    ),
  );
