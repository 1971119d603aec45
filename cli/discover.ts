import { z } from 'zod';
import type { Bus } from '../lib/bus/connect.ts';
import { gather } from '../lib/bus/request.ts';
import { hostSchema } from '../schemas/names.ts';

/** How long the services on the bus have to answer, in milliseconds. */
const answersMs = 600;

/** An answer to `$SRV.PING` (ADR-32) by a service of ours. */
const pingSchema = z.looseObject({
  name: z.enum(['zpsend-sender', 'zpsend-receiver']),
  metadata: z.looseObject({ host: hostSchema }),
});

/** The hosts whose services answer, in order of name. */
export async function discoverHosts(bus: Bus): Promise<string[]> {
  const answers = await gather(bus, '$SRV.PING', {}, pingSchema, answersMs);
  return [...new Set(answers.map(({ metadata }) => metadata.host))].sort();
}
