import type { Command } from 'commander';
import type { Cli } from '../../context.ts';
import { addAccounts } from './accounts.ts';
import { addPermissions } from './permissions.ts';
import { addSetup } from './setup.ts';

export function addDeploy(program: Command, cli: Cli): void {
  const deploy = program
    .command('deploy')
    .summary('set up the NATS servers of a fleet')
    .description('Set up the NATS servers of a fleet: configuration, buckets and certificates.');
  addAccounts(deploy, cli);
  addSetup(deploy, cli);
  addPermissions(deploy, cli);
}
