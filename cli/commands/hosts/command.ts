import type { Command } from 'commander';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { readHost } from '../../../lib/bus/hosts/registry.ts';
import { request } from '../../../lib/bus/rpc/request.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { ownMachine } from '../../../lib/machine/machine.ts';
import { loadSettings } from '../../../lib/settings/settings.ts';
import { type Info, infoSchema, type Pool } from '../../../schemas/host.ts';
import { shortMachine } from '../../../schemas/machine.ts';
import type { HostsOutput } from '../../../schemas/output.ts';
import { discoverHosts } from '../../client/find-hosts.ts';
import { distinct, faultOf, nameRemedy } from '../../client/name-faults.ts';
import { type Cli, type JsonOption, withBus } from '../../context.ts';
import { exit, usage } from '../../exit-codes.ts';
import { bytes } from '../../output/format.ts';
import { table } from '../../output/table.ts';
import { adopt } from './adopt.ts';

interface Options extends JsonOption {
  adopt?: string;
}

export function addHosts(program: Command, cli: Cli): void {
  program
    .command('hosts')
    .summary('list the hosts on the bus')
    .description('List the hosts whose services answer, with their machines, versions and pools.')
    .option('--adopt <host>', 'register this host name for this machine')
    .option('--json', 'print JSON')
    .addHelpText('after', help)
    .action(cli.action((options: Options) => (options.adopt === undefined ? hosts : adoptName)(cli, options)));
}

const help = `
A host name belongs to one machine. The KV bucket zfs-hosts stores which one.
Services and commands on another machine with that name are refused. To replace
a machine, stop its services, and run --adopt on the new one.

Examples:
  zpsend hosts --json | jq -r ".hosts[].host"
  zpsend hosts --adopt smos-01`;

type Host = HostsOutput['hosts'][number];

async function hosts(cli: Cli, { json }: JsonOption): Promise<number> {
  const found = await withBus(cli, infos);
  if (json) cli.io.out(JSON.stringify({ hosts: found } satisfies HostsOutput));
  else if (found.length > 0) table(columns, found).forEach(cli.io.out);
  else cli.io.err('no host answers; start a service (zpsend receiver, zpsend sender)');
  for (const { host, fault } of found) if (fault && !json) cli.io.err(`${fault}; ${nameRemedy(host)}`);
  return exit.done;
}

async function infos(bus: Bus): Promise<Host[]> {
  const names = await discoverHosts(bus);
  const answers = await Promise.allSettled(names.map((host) => infoOf(bus, host)));
  // a host that has just stopped, or only runs a private sender, does not answer
  return answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
}

async function infoOf(bus: Bus, host: string): Promise<Host> {
  const [info, registered] = await Promise.all([
    request(bus, subjects.info(host), {}, infoSchema),
    readHost(bus, host).catch(() => undefined),
  ]);
  const fault = faultOf(host, machinesOf(info), registered);
  return { ...info, ...(typeof registered === 'object' && { registered }), ...(fault !== undefined && { fault }) };
}

const machinesOf = ({ machine, instances }: Info) => [machine, ...instances.map((instance) => instance.machine)];

async function adoptName(cli: Cli, { adopt: name, json }: Options): Promise<number> {
  const { host, machineId } = loadSettings(cli.env);
  if (name !== host) {
    throw usage(
      `--adopt ${name}: this host is ${host}. Run it on the machine whose configuration file (host:) or ZPSEND_HOST has ` +
        name,
    );
  }
  const own = ownMachine(machineId);
  const { record, before } = await withBus(cli, (bus) => adopt(bus, host, own));
  if (json) cli.io.out(JSON.stringify(record));
  else if (before === 'unreadable') {
    cli.io.out(
      `${host} is now machine ${shortMachine({ id: record.machine })}; the record before was not readable. Start its services`,
    );
  } else if (before) {
    const [was, is] = [before.machine, record.machine].map((id) => shortMachine({ id }));
    cli.io.out(`${host} is now machine ${is}; it was machine ${was} since ${before.since}. Start its services`);
  } else cli.io.out(`${host} is machine ${shortMachine({ id: record.machine })}, since ${record.since}`);
  return exit.done;
}

const columns = [
  { title: 'HOST', value: ({ host }: Host) => host },
  { title: 'SERVICES', value: ({ instances }: Info) => servicesOf(instances) },
  {
    title: 'MACHINE',
    value: (info: Host) =>
      distinct(machinesOf(info))
        .map(({ id }) => shortMachine({ id }))
        .join(', '),
  },
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
