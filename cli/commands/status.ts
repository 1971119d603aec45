import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Bus } from '../../lib/bus/connect.ts';
import { gather } from '../../lib/bus/request.ts';
import { subjects } from '../../lib/bus/subjects.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import { eachInfoSchema } from '../../schemas/host.ts';
import { sendStatusSchema } from '../../schemas/job.ts';
import { hostSchema } from '../../schemas/names.ts';
import type { StatusOutput } from '../../schemas/output.ts';
import { receiveStatusSchema } from '../../schemas/transfer.ts';
import { type Cli, type JsonOption, withBus } from '../cli.ts';
import { discoverHosts } from '../discover.ts';
import { exit, usage } from '../exit.ts';
import { statusLines } from '../status-table.ts';

interface Options extends JsonOption {
  watch?: true;
}

const answersMs = 500;
const everyMs = 2000;

export function addStatus(program: Command, cli: Cli): void {
  program
    .command('status')
    .summary('show what hosts send and receive')
    .description(
      'Shows the jobs and transfers of one host, or of all that answer; ended jobs for as long as a sender remembers.',
    )
    .argument('[host]', 'one host only')
    .option('-w, --watch', 'again every 2 seconds, until Ctrl-C')
    .option('--json', 'print JSON; with --watch a line each time')
    .addHelpText('after', '\nExamples:\n  zpsend status\n  zpsend status smos-01 -w')
    .action(cli.action((host: string | undefined, options: Options) => status(cli, host, options)));
}

async function status(cli: Cli, host: string | undefined, options: Options): Promise<number> {
  if (host !== undefined && !hostSchema.safeParse(host).success) throw usage(`"${host}" is not a host`);
  return withBus(cli, async (bus) => {
    for (;;) {
      const now = await statusOf(bus, host);
      if (options.json) cli.io.out(JSON.stringify(now));
      else if (options.watch && cli.io.isTerminal) cli.io.page(statusLines(now));
      else statusLines(now).forEach(cli.io.out);
      if (!options.watch) return exit.done;
      await sleep(everyMs);
    }
  });
}

async function statusOf(bus: Bus, host: string | undefined): Promise<StatusOutput> {
  const names = host === undefined ? await discoverHosts(bus) : [host];
  const each = async (name: string) => {
    const [instances, senders, receivers] = await Promise.all([
      gather(bus, subjects.each(subjects.info(name)), {}, eachInfoSchema, answersMs),
      gather(bus, subjects.each(subjects.send(name, 'status')), {}, sendStatusSchema, answersMs),
      gather(bus, subjects.each(subjects.receive(name, 'status')), {}, receiveStatusSchema, answersMs),
    ]);
    if (host !== undefined && instances.length === 0) throw nobody(host);
    return {
      host: name,
      jobs: senders.flatMap(({ jobs }) => jobs),
      transfers: receivers.flatMap(({ transfers }) => transfers),
    };
  };
  return { hosts: await Promise.all(names.map(each)) };
}

const nobody = (host: string): ZpsendError =>
  new ZpsendError('UNREACHABLE', `no service of ${host} answers; hosts that answer: zpsend hosts`, { host });
