import { z } from 'zod';
import type { Bus } from '../../lib/bus/connection/connect.ts';
import { registeredHosts } from '../../lib/bus/hosts/registry.ts';
import { gather, request } from '../../lib/bus/rpc/request.ts';
import { subjects } from '../../lib/bus/subjects.ts';
import { timing } from '../../lib/time/timing.ts';
import { infoSchema } from '../../schemas/host.ts';
import { type Machine, machineSchema } from '../../schemas/machine.ts';
import { hostSchema } from '../../schemas/names.ts';

/** An answer of a zpsend service to `$SRV.PING` (ADR-32). */
const pingSchema = z.looseObject({
  name: z.enum(['zpsend-sender', 'zpsend-receiver']),
  metadata: z.looseObject({
    host: hostSchema,
    machine: machineSchema.shape.id,
    boot: machineSchema.shape.boot,
  }),
});

/**
 * The registered hosts that answer a request to their name. Discovery does not reach a host in another account.
 */
async function answeringByName(bus: Bus, known: ReadonlyMap<string, unknown>): Promise<[string, Machine[]][]> {
  const names = await registeredHosts(bus).catch(() => []);
  const others = names.filter((host) => !known.has(host));
  const asked = others.map(async (host) => {
    const info = await request(bus, subjects.info(host), {}, infoSchema, timing.cli.byNameMs).catch(() => undefined);
    return info && ([host, info.machine ? [info.machine] : []] satisfies [string, Machine[]]);
  });
  return (await Promise.all(asked)).filter((answer) => answer !== undefined);
}

/** The hosts that answer discovery, each with the machine of every service. */
async function discovered(bus: Bus): Promise<Map<string, Machine[]>> {
  const found = new Map<string, Machine[]>();
  for (const { metadata } of await gather(bus, '$SRV.PING', {}, pingSchema, timing.cli.servicesMs)) {
    const { host, machine: id, boot } = metadata;
    const machine = { ...(id !== undefined && { id }), ...(boot !== undefined && { boot }) };
    found.set(host, [...(found.get(host) ?? []), machine]);
  }
  return found;
}

/** The hosts that discovery reaches: those in this account, and those whose discovery it imports. */
export const discoveredHosts = async (bus: Bus): Promise<string[]> => [...(await discovered(bus)).keys()].sort();

/** The hosts whose services answer, by name, each with the machine of every service. */
export async function discoverMachines(bus: Bus): Promise<Map<string, Machine[]>> {
  const found = await discovered(bus);
  const all = [...found, ...(await answeringByName(bus, found))];
  return new Map(all.sort(([one], [other]) => (one < other ? -1 : 1)));
}

/** The hosts whose services answer, by name. */
export const discoverHosts = async (bus: Bus): Promise<string[]> => [...(await discoverMachines(bus)).keys()];
