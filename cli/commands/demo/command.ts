import type { Command } from 'commander';
import type { Cli } from '../../context.ts';
import { exit } from '../../exit-codes.ts';
import { catchInterrupt } from '../../output/interrupt.ts';
import { withEnvironment } from './environment.ts';
import { runScenario } from './scenario.ts';

interface Options {
  simulator?: true;
}

export function addDemo(program: Command, cli: Cli): void {
  program
    .command('demo')
    .summary('replicate between two hosts on this machine, then clean up')
    .description('Replicate between two hosts on this machine, then remove everything.')
    .option('--simulator', 'use the ZFS simulator even if ZFS is available')
    .addHelpText('after', help)
    .action(cli.action((options: Options) => demo(cli, options)));
}

const help = `
Starts a nats-server, a sender and a receiver, and replicates seven snapshots of
zones/test, twice. Uses pools in files if this user may create them, and a
simulator otherwise. Existing pools are not touched.

Example:
  zpsend demo`;

async function demo(cli: Cli, { simulator }: Options): Promise<number> {
  const interrupt = catchInterrupt();
  let status: number = exit.interrupted;
  try {
    status = await withEnvironment(cli, Boolean(simulator), (machines) => runScenario(cli, machines, interrupt.signal));
  } catch (error) {
    // a Ctrl-C reaches the services too, so the running command fails
    if (!interrupt.signal.aborted) throw error;
  } finally {
    interrupt.stop();
  }
  cli.io.out(`${status === exit.done ? 'Done. Everything' : 'Everything'} is removed.`);
  return status;
}
