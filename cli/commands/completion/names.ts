import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { registeredHosts } from '../../../lib/bus/hosts/registry.ts';
import { requestInventory } from '../../../lib/bus/rpc/inventory-parts.ts';
import { gather } from '../../../lib/bus/rpc/request.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { systemClock } from '../../../lib/time/clock.ts';
import { timing } from '../../../lib/time/timing.ts';
import { sendStatusSchema } from '../../../schemas/job.ts';
import type { Candidate, Known, Needed } from '../../args/complete.ts';
import { thisHost } from '../../args/this-host.ts';
import { type Cli, withBus } from '../../context.ts';

const nothing: Known = { hosts: [], jobs: [], names: [] };

/**
 * Finds names for a completion. What fails is left out. At the deadline the process ends, without output: a shell must not wait for a
 * pool or a server that does not answer.
 */
export async function findNames(cli: Cli, { hosts, jobs, names }: Needed): Promise<Known> {
  if (!hosts && !jobs && !names) return nothing;
  const { completionMs: most } = timing.cli;
  const cancel = systemClock.after(most, () => process.exit());
  // no message of the connection may reach the terminal
  const quiet: Cli = { ...cli, io: { ...cli.io, err: () => {} } };
  const overBus = <T>(use: (bus: Bus) => Promise<T[]>): Promise<T[]> => withBus(quiet, use).catch(() => []);
  const local = names && (names.host === undefined || names.host === hereOf(cli)) ? names : undefined;
  const known = await Promise.all([
    hosts ? overBus(registeredHosts) : [],
    jobs ? overBus((bus) => jobsOn(bus, most / 2)) : [],
    local
      ? cli.local.zfsNames(local.dataset, most).catch(() => [])
      : names
        ? overBus((bus) => namesOn(bus, names))
        : [],
  ]);
  cancel();
  return { hosts: known[0], jobs: known[1], names: known[2] };
}

function hereOf({ env }: Cli): string | undefined {
  try {
    return thisHost(env);
  } catch {
    return undefined;
  }
}

/** @param ms how long senders may take to answer, in milliseconds */
async function jobsOn(bus: Bus, ms: number): Promise<Candidate[]> {
  const hosts = await registeredHosts(bus);
  const answers = await Promise.all(
    hosts.map((host) => gather(bus, subjects.each(subjects.send(host, 'status')), {}, sendStatusSchema, ms)),
  );
  return answers
    .flat()
    .flatMap(({ jobs }) => jobs)
    .map(({ job, host, request }) => ({
      value: job,
      description: `${host}: ${request.dataset} to ${request.to.host}`,
    }));
}

async function namesOn(bus: Bus, { host = '', dataset }: NonNullable<Needed['names']>): Promise<string[]> {
  const { datasets } = await requestInventory(bus, host, dataset === undefined ? {} : { dataset });
  if (dataset === undefined) return datasets.map(({ name }) => name);
  return datasets.flatMap(({ name, snapshots }) => snapshots.map((snapshot) => `${name}@${snapshot.name}`));
}
