import { z } from 'zod';
import type { Bus } from '../lib/bus/connect.ts';
import { gather } from '../lib/bus/request.ts';
import { type Machine, machineSchema } from '../schemas/machine.ts';
import { hostSchema } from '../schemas/names.ts';

/** How long the services on the bus have to answer, in milliseconds. */
const answersMs = 600;

/** An answer to `$SRV.PING` (ADR-32) by a service of ours. */
const pingSchema = z.looseObject({
  name: z.enum(['zpsend-sender', 'zpsend-receiver']),
  metadata: z.looseObject({
    host: hostSchema,
    machine: machineSchema.shape.id,
    boot: machineSchema.shape.boot,
  }),
});

/** The hosts whose services answer, in order of name, each with the machine of every service. */
export async function discoverMachines(bus: Bus): Promise<Map<string, Machine[]>> {
  const found = new Map<string, Machine[]>();
  for (const { metadata } of await gather(bus, '$SRV.PING', {}, pingSchema, answersMs)) {
    const { host, machine: id, boot } = metadata;
    const machine = { ...(id !== undefined && { id }), ...(boot !== undefined && { boot }) };
    found.set(host, [...(found.get(host) ?? []), machine]);
  }
  return new Map([...found].sort(([one], [other]) => (one < other ? -1 : 1)));
}

/** The hosts whose services answer, in order of name. */
export const discoverHosts = async (bus: Bus): Promise<string[]> => [...(await discoverMachines(bus)).keys()];
