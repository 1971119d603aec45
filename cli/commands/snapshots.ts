import type { Command } from 'commander';
import type { DatasetEntry } from '../../schemas/inventory.ts';
import { parseLocation } from '../args/names.ts';
import { thisHost } from '../args/this-host.ts';
import { openListing } from '../client/host-listing.ts';
import { type Cli, type JsonOption, withBus } from '../context.ts';
import { exit } from '../exit-codes.ts';
import { bytes, moment } from '../output/format.ts';
import { table } from '../output/table.ts';

interface Options extends JsonOption {
  recursive?: true;
}

export function addSnapshots(program: Command, cli: Cli): void {
  program
    .command('snapshots')
    .summary('list the snapshots and bookmarks of a host')
    .description('List the snapshots and bookmarks of a host, oldest first in each dataset.')
    .argument('[location]', 'HOST, HOST:DATASET or DATASET (default: this host)')
    .option('-r, --recursive', 'with all descendants')
    .option('--json', 'print JSON, which plan --inventory reads')
    .addHelpText('after', help)
    .action(cli.action((location: string | undefined, options: Options) => snapshots(cli, location, options)));
}

const help = `
CREATION is in UTC, by the clock of the host that made the snapshot.

Examples:
  zpsend snapshots smos-00
  zpsend snapshots -r smos-00:zones/test`;

/** @returns the exit status */
export async function snapshots(cli: Cli, location: string | undefined, options: Options): Promise<number> {
  const here = thisHost(cli.env);
  const { host, dataset } = location === undefined ? { host: here } : parseLocation(location, here);
  const what = {
    ...(dataset !== undefined && { dataset }),
    ...(options.recursive && { recursive: true }),
    creation: true,
  };
  const inventory = await withBus(cli, async (bus) => {
    const listing = await openListing(cli, bus, host, what);
    await listing.close();
    return listing.inventory;
  });
  if (inventory.restricted) cli.io.err(`zpsend: ${host} shows only the datasets that this host may write or is sent`);
  if (options.json) {
    cli.io.out(JSON.stringify(inventory));
    return exit.done;
  }
  const rows = inventory.datasets.flatMap(entriesOf);
  if (rows.length === 0) cli.io.err(`no snapshots in ${dataset ?? 'any dataset'} on ${host}`);
  table(columns, rows).forEach(cli.io.out);
  return exit.done;
}

interface Row {
  name: string;
  creation: string;
  used: string;
  refer: string;
  guid: string;
  createtxg: string;
}

const entriesOf = ({ name, snapshots, bookmarks }: DatasetEntry): Row[] => [
  ...snapshots.map(({ name: leaf, creation, used, referenced, guid, createtxg }) => ({
    name: `${name}@${leaf}`,
    creation: moment(creation),
    used: bytes(used),
    refer: bytes(referenced),
    guid,
    createtxg,
  })),
  ...bookmarks.map(({ name: leaf, creation, guid, createtxg }) => ({
    name: `${name}#${leaf}`,
    creation: moment(creation),
    used: '-',
    refer: '-',
    guid,
    createtxg,
  })),
];

const columns = [
  { title: 'NAME', value: ({ name }: Row) => name },
  { title: 'CREATION', value: ({ creation }: Row) => creation },
  { title: 'USED', value: ({ used }: Row) => used, right: true },
  { title: 'REFER', value: ({ refer }: Row) => refer, right: true },
  { title: 'GUID', value: ({ guid }: Row) => guid, right: true },
  { title: 'CREATETXG', value: ({ createtxg }: Row) => createtxg, right: true },
];
