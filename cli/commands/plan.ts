import type { Command } from 'commander';
import { plan as planPurely } from '../../lib/plan/plan.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import type { PlanReply } from '../../schemas/plan.ts';
import { type Cli, type JsonOption, withBus } from '../cli.ts';
import { errorLines } from '../errors.ts';
import { exitForAll, usage } from '../exit.ts';
import { readInventories } from '../inventory-file.ts';
import { planLines } from '../plan-table.ts';
import { type Asked, askedFor, type SendOptions } from '../send-requests.ts';
import { withSender } from '../sender-route.ts';
import { thisHost } from '../this-host.ts';

interface Options extends SendOptions, JsonOption {
  inventory?: string;
}

/** Listing both sides takes as long as ZFS takes, in milliseconds. */
const patienceMs = 120_000;

export function addPlan(program: Command, cli: Cli): void {
  program
    .command('plan')
    .summary('show what would be sent')
    .description('Shows the steps that send would take, and changes nothing.')
    .argument('<source>', 'what: [HOST:]DATASET[@SNAPSHOT]; without HOST from this host')
    .argument('[target...]', 'where: HOST[:DATASET]; the one in the file with --inventory')
    .option('-i, --from <base>', 'exactly the incremental from this @snapshot or #bookmark')
    .option('--full', 'exactly this snapshot, as a full stream')
    .option('--inventory <file>', 'plan from saved listings of both sides, without a bus')
    .option('--json', 'print the plan as JSON, a line for each target')
    .addHelpText('after', help)
    .action(cli.action((source: string, targets: string[], options: Options) => plan(cli, source, targets, options)));
}

const help = `
Examples:
  zpsend plan zones/test smos-00                      what smos-00 lacks of this host's zones/test
  zpsend plan smos-01:zones/test@now smos-00:backup/test
  zpsend plan --inventory both-sides.json zones/test  no NATS, no ZFS: what these listings come to

An inventory file is {"version":1,"source":LISTING,"target":LISTING}, each as zpsend snapshots --json prints it.

Exit status: 0 planned (or nothing to do), 1 refused or failed, 2 wrong usage or file, 3 some targets refused.`;

async function plan(cli: Cli, source: string, targets: string[], options: Options): Promise<number> {
  const file = options.inventory === undefined ? undefined : readInventories(options.inventory);
  if (!file && targets.length === 0) throw usage('name a target: zpsend plan SOURCE HOST[:DATASET]');
  const asked = askedFor(
    source,
    targets.length > 0 ? targets : [file?.target.host ?? ''],
    options,
    file?.source.host ?? thisHost(cli.env),
  );
  const replies = file ? planFromFile(asked, file) : await planOverBus(cli, asked);
  const codes = replies.map((reply, at) => {
    const request = asked.requests[at];
    if (options.json) cli.io.out(JSON.stringify(reply));
    else if (request) planLines(request, reply).forEach(cli.io.out);
    if (reply.plan.ok) return undefined;
    if (!options.json) errorLines(reply.plan.error, reply.plan.evidence).forEach(cli.io.err);
    return reply.plan.error.code;
  });
  return exitForAll(codes);
}

function planFromFile({ host, requests }: Asked, { source, target }: ReturnType<typeof readInventories>): PlanReply[] {
  if (host !== source.host) throw usage(`the file lists ${source.host} as the source, not ${host}`);
  return requests.map((request) => ({
    source: source.host,
    target: request.to.host,
    plan: planPurely(request, source, target),
  }));
}

const planOverBus = (cli: Cli, { host, requests }: Asked): Promise<PlanReply[]> =>
  withBus(cli, (bus) =>
    withSender(cli, bus, host, (route) =>
      Promise.all(
        requests.map(async (request): Promise<PlanReply> => {
          try {
            return await route.plan(request, patienceMs);
          } catch (thrown) {
            // one of several targets does not spoil the others' plans
            if (requests.length === 1) throw thrown;
            return {
              source: host,
              target: request.to.host,
              plan: { ok: false, error: ZpsendError.from(thrown).toBody() },
            };
          }
        }),
      ),
    ),
  );
