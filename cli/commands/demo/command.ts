import type { Command } from 'commander';
import type { Cli } from '../../context.ts';
import { exit } from '../../exit-codes.ts';
import { catchInterrupt } from '../../output/interrupt.ts';
import { onStage } from './environment.ts';
import { tell } from './scenario.ts';

interface Options {
  simulator?: true;
}

export function addDemo(program: Command, cli: Cli): void {
  program
    .command('demo')
    .summary('see the whole thing on this machine, thrown away afterwards')
    .description(
      'Starts a nats-server, a sender and a receiver here, replicates seven snapshots of zones/test from one to the ' +
        'other, twice, and takes everything away again. On real ZFS where this user may make pools in files, else on a ' +
        'simulator; the pools that are there are not touched.',
    )
    .option('--simulator', 'use the simulator, also where there is ZFS')
    .addHelpText('after', '\nExample:\n  zpsend demo')
    .action(cli.action((options: Options) => demo(cli, options)));
}

async function demo(cli: Cli, { simulator }: Options): Promise<number> {
  const interrupt = catchInterrupt();
  let status: number = exit.interrupted;
  try {
    status = await onStage(cli, Boolean(simulator), (machines) => tell(cli, machines, interrupt.signal));
  } catch (error) {
    // a Ctrl-C reaches the services too, and what was under way fails
    if (!interrupt.signal.aborted) throw error;
  } finally {
    interrupt.stop();
  }
  cli.io.out(`${status === exit.done ? 'Done, and everything' : 'Everything'} is taken away again.`);
  return status;
}
