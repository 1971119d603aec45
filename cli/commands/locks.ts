import type { Command } from 'commander';
import { listLocks } from '../../lib/bus/locks/locks.ts';
import type { LocksOutput } from '../../schemas/output.ts';
import { type Cli, type JsonOption, withBus } from '../context.ts';
import { exit } from '../exit-codes.ts';
import { duration } from '../output/format.ts';
import { table } from '../output/table.ts';

type Lock = LocksOutput['locks'][number];

export function addLocks(program: Command, cli: Cli): void {
  program
    .command('locks')
    .summary('list the datasets that are being received')
    .description('List the locks of all hosts. A target dataset has one receive at a time.')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nThe lock of a dead receiver expires.\n\nExample:\n  zpsend locks')
    .action(cli.action((options: JsonOption) => locks(cli, options)));
}

async function locks(cli: Cli, { json }: JsonOption): Promise<number> {
  const found = await withBus(cli, async (bus) => {
    return (await listLocks(bus)).map(
      ({ nonce: _, renewed, ...lock }): Lock => ({ ...lock, renewed: renewed.toISOString() }),
    );
  });
  if (json) cli.io.out(JSON.stringify({ locks: found } satisfies LocksOutput));
  else if (found.length > 0) table(columns(Date.now()), found).forEach(cli.io.out);
  else cli.io.err('no dataset is locked');
  return exit.done;
}

const columns = (now: number) => [
  { title: 'HOST', value: ({ host }: Lock) => host },
  { title: 'DATASET', value: ({ dataset }: Lock) => dataset },
  { title: 'FROM', value: ({ source }: Lock) => source },
  { title: 'OWNER', value: ({ owner }: Lock) => owner },
  {
    title: 'RENEWED',
    value: ({ renewed }: Lock) => `${duration(Math.max(0, (now - Date.parse(renewed)) / 1000))} ago`,
    right: true,
  },
];
