import type { Command } from 'commander';
import { version } from '../../lib/settings/version.ts';
import type { Cli } from '../context.ts';
import { exit } from '../exit-codes.ts';

export function addVersion(program: Command, cli: Cli): void {
  program
    .command('version')
    .summary('print the version')
    .description('Print the version of this program. zpsend hosts lists those of the services.')
    .action(
      cli.action(async () => {
        cli.io.out(version);
        return exit.done;
      }),
    );
}
