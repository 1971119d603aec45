import type { Command } from 'commander';
import { version } from '../../lib/settings/version.ts';
import type { Cli } from '../context.ts';
import { exit } from '../exit-codes.ts';

export function addVersion(program: Command, cli: Cli): void {
  program
    .command('version')
    .summary('print the version, as --version does')
    .description('Prints the version of this program. Those of the services that run: zpsend hosts.')
    .action(
      cli.action(async () => {
        cli.io.out(version);
        return exit.done;
      }),
    );
}
