import type { Command } from 'commander';
import type { Bus } from '../../lib/bus/connect.ts';
import { request } from '../../lib/bus/request.ts';
import { subjects } from '../../lib/bus/subjects.ts';
import { type Info, infoSchema, type Pool } from '../../schemas/host.ts';
import type { HostsOutput } from '../../schemas/output.ts';
import { type Cli, type JsonOption, withBus } from '../cli.ts';
import { discoverHosts } from '../discover.ts';
import { exit } from '../exit.ts';
import { bytes } from '../format.ts';
import { table } from '../table.ts';

export function addHosts(program: Command, cli: Cli): void {
  program
    .command('hosts')
    .summary('list the hosts on the bus')
    .description('Lists the hosts whose services answer, with their versions and pools.')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  zpsend hosts --json | jq -r ".hosts[].host"')
    .action(cli.action((options: JsonOption) => hosts(cli, options)));
}

async function hosts(cli: Cli, { json }: JsonOption): Promise<number> {
  const found = await withBus(cli, infos);
  if (json) cli.io.out(JSON.stringify({ hosts: found } satisfies HostsOutput));
  else if (found.length > 0) table(columns, found).forEach(cli.io.out);
  else cli.io.err('no host answers; start a service on one: zpsend receiver, zpsend sender');
  return exit.done;
}

async function infos(bus: Bus): Promise<Info[]> {
  const names = await discoverHosts(bus);
  const answers = await Promise.allSettled(names.map((host) => request(bus, subjects.info(host), {}, infoSchema)));
  // one that has just gone, or only runs a private sender, is not there to be talked to
  return answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
}

const columns = [
  { title: 'HOST', value: ({ host }: Info) => host },
  { title: 'SERVICES', value: ({ instances }: Info) => servicesOf(instances) },
  { title: 'VERSION', value: ({ version }: Info) => version },
  { title: 'ZFS', value: ({ zfs, zfsError }: Info) => zfs ?? `(${zfsError ?? 'unknown'})` },
  {
    title: 'POOLS',
    value: ({ pools }: Info) => pools.map(poolWords).join(', ') || '-',
  },
];

const poolWords = ({ name, free, size, readOnly }: Pool): string =>
  readOnly ? `${name} read-only` : `${name} ${bytes(free)} free of ${bytes(size)}`;

/** `receiver, sender x2` */
function servicesOf(instances: Info['instances']): string {
  const counts = new Map<string, number>();
  for (const { service } of instances) counts.set(service, (counts.get(service) ?? 0) + 1);
  return (
    [...counts]
      .map(([service, count]) => (count > 1 ? `${service} x${count}` : service))
      .sort()
      .join(', ') || '-'
  );
}
