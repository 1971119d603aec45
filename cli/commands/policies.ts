import type { Command } from 'commander';
import { request } from '../../lib/bus/rpc/request.ts';
import { subjects } from '../../lib/bus/subjects.ts';
import { hostSchema } from '../../schemas/names.ts';
import { type Policies, policiesSchema } from '../../schemas/policy.ts';
import { valueBy } from '../args/option-values.ts';
import { thisHost } from '../args/this-host.ts';
import { type Cli, type JsonOption, withBus } from '../context.ts';
import { exit } from '../exit-codes.ts';
import { table } from '../output/table.ts';

export function addPolicies(program: Command, cli: Cli): void {
  program
    .command('policies')
    .summary('list the policies of a host')
    .description('List the policies of a host, which replicate each new snapshot.')
    .argument('[host]', 'host name (default: this host)', valueBy(hostSchema))
    .option('--json', 'print JSON')
    .addHelpText('after', help)
    .action(cli.action((host: string | undefined, options: JsonOption) => policies(cli, host, options)));
}

const help = `
Policies are in send.policies of the configuration file, and in the KV bucket
zfs-policies under the key HOST.NAME, where they can change at any time:
  nats kv put zfs-policies smos-01.vm \\
    '{"dataset":"zones/vm","recursive":true,"to":["smos-00","dr-1:tank/vm"]}'
  nats kv del zfs-policies smos-01.vm

Exit status: 0 all are active, 1 some are refused or the host does not answer.

Example:
  zpsend policies smos-01`;

/** @returns the exit status: 1 if one of them is refused */
async function policies(cli: Cli, named: string | undefined, { json }: JsonOption): Promise<number> {
  const host = named ?? thisHost(cli.env);
  const found = await withBus(cli, (bus) => request(bus, subjects.send(host, 'policies'), {}, policiesSchema));
  if (json) cli.io.out(JSON.stringify(found));
  else print(cli, found);
  return found.refused.length > 0 ? exit.failed : exit.done;
}

type Row = Policies['policies'][number] & { readonly target: Policies['policies'][number]['targets'][number] };

function print({ io }: Cli, { host, policies: all, refused }: Policies): void {
  const rows: Row[] = all.flatMap((policy) => policy.targets.map((target) => ({ ...policy, target })));
  table(columns, rows).forEach(io.out);
  if (all.length === 0) io.err(`${host} has no policies`);
  for (const { dataset, target } of rows) {
    if (target.error) io.err(`zpsend: ${dataset} to ${target.host}: ${target.error.code}: ${target.error.message}`);
  }
  for (const { name, why } of refused) io.err(`zpsend: policy ${name} of ${host} is refused: ${why}`);
}

const columns = [
  { title: 'DATASET', value: ({ dataset, recursive }: Row) => `${dataset}${recursive ? ' -R' : ''}` },
  { title: 'TO', value: ({ target }: Row) => `${target.host}:${target.dataset}` },
  { title: 'STATE', value: ({ target }: Row) => (target.error ? `${target.state}, failed` : target.state) },
  { title: 'POLICY', value: ({ name }: Row) => name },
];
