import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { SimHost } from '../test/support/sim-host.ts';

/** A line that the simulator logs of each process. */
const ranSchema = z.object({ argv: z.array(z.string()), ms: z.number() });

/** Every `zfs` that has ended on a simulated host, in the order of their ends. */
export async function processesOf(host: SimHost): Promise<z.infer<typeof ranSchema>[]> {
  const text = await readFile(host.env.ZFS_SIM_LOG ?? '', 'utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => ranSchema.parse(JSON.parse(line)));
}
