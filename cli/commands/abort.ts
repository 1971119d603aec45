import type { Command } from 'commander';
import { gather } from '../../lib/bus/rpc/request.ts';
import { subjects } from '../../lib/bus/subjects.ts';
import { timing } from '../../lib/time/timing.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import { jobAbortedSchema } from '../../schemas/job.ts';
import { idSchema } from '../../schemas/names.ts';
import { valueBy } from '../args/option-values.ts';
import { discoverHosts } from '../client/find-hosts.ts';
import { type Cli, type JsonOption, withBus } from '../context.ts';
import { exit } from '../exit-codes.ts';

export function addAbort(program: Command, cli: Cli): void {
  program
    .command('abort')
    .summary('abort a job')
    .description('Abort a job, on any host. Sending again continues from what has arrived.')
    .argument('<job>', 'id of the job', valueBy(idSchema, 'zpsend status --jobs lists the ids of jobs'))
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  zpsend abort 3k9x0a7b1c')
    .action(cli.action((job: string, options: JsonOption) => abort(cli, job, options)));
}

async function abort(cli: Cli, job: string, { json }: JsonOption): Promise<number> {
  const answer = await withBus(cli, async (bus) => {
    const hosts = await discoverHosts(bus);
    const asked = hosts.map((host) =>
      gather(bus, subjects.each(subjects.send(host, 'abort')), { job }, jobAbortedSchema, timing.cli.abortAnswersMs),
    );
    const [found] = (await Promise.all(asked)).flat();
    if (found) return found;
    const where = hosts.length > 0 ? `on ${hosts.join(', ')}` : 'on this bus: no host answers';
    throw new ZpsendError('NO_SUCH_JOB', `no job ${job} ${where}; zpsend status --jobs lists the running jobs`, {
      job,
    });
  });
  cli.io.out(json ? JSON.stringify(answer) : `job ${answer.job} is being aborted`);
  return exit.done;
}
