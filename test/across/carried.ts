import { createReadStream, createWriteStream, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { isRefusal } from '../../lib/plan/refusal.ts';
import { composed } from '../../lib/plan/steps/compose.ts';
import type { Zfs } from '../../lib/zfs/zfs.ts';
import type { Step } from '../../schemas/plan.ts';
import type { StreamFeature } from '../../schemas/stream.ts';
import { streamOf } from '../../services/sender/transfer/stream-request.ts';
import type { Lab } from '../contract/zfs-under-test.ts';
import { planDatasets } from '../support/planning.ts';

/** Where streams lie that another machine, with another release, has left, and where this one leaves its own. */
export const [comesFrom, goesTo] = [process.env.ZPSEND_CARRIED, process.env.VM_OUT ?? '/nowhere'];

/** A carried package: the planned steps, each with a stream, and the contents of its snapshots. */
export interface Carried {
  /** Of the dataset that the package was sent from; the plan's targets lie below `into`. */
  root: string;
  into: string;
  steps: Step[];
  /** Digests of the files of those snapshots whose dataset is mountable, by name below the root. */
  digests: Record<string, string>;
  /** Snapshots by name below the root, with their guids. */
  guids: Record<string, string>;
}

const streamFile = (folder: string, index: number): string => join(folder, `${index}.zs`);

/** The digests of the package's snapshots, by name below `root`. */
export const guidsBelow = (z: Lab, root: string): Record<string, string> =>
  Object.fromEntries(
    z
      .ok('list', '-Hp', '-r', '-t', 'snapshot', '-o', 'name,guid', root)
      .map((line) => line.slice(root.length).split('\t') as [string, string]),
  );

/** Plans the package for an empty target whose pool has those features, and writes all its streams. */
export async function carryAway(
  z: Lab,
  zfs: Zfs,
  root: string,
  { features, digests, guids }: { features: StreamFeature[] | undefined } & Pick<Carried, 'digests' | 'guids'>,
): Promise<void> {
  const into = 'elsewhere/tree';
  const source = { host: 'smos-01', datasets: await zfs.list({ dataset: root, recursive: true }) };
  const target = {
    host: 'smos-00',
    datasets: await zfs.list({ dataset: z.target }).then(([pool]) => (pool ? [{ ...pool, name: 'elsewhere' }] : [])),
    ...(features && { features: { elsewhere: features } }),
  };
  const ask = { dataset: root, to: { host: 'smos-00', dataset: into }, package: 'replication' as const };
  const plans = planDatasets(ask, source, target);
  const plan = isRefusal(plans) ? plans : composed(plans);
  if (!plan.ok) throw new Error(plan.error.message);
  for (const [index, step] of plan.steps.entries()) {
    const child = zfs.send(streamOf(step));
    await pipeline(child.stdout, createWriteStream(streamFile(goesTo, index)));
    await child.done;
  }
  const carried: Carried = { root, into, steps: plan.steps, digests, guids };
  writeFileSync(join(goesTo, 'carried.json'), JSON.stringify(carried));
}

/** The carried package, and a stream of it. */
export function brought(folder: string): Carried & { stream(index: number): NodeJS.ReadableStream } {
  const carried: Carried = JSON.parse(readFileSync(join(folder, 'carried.json'), 'utf8'));
  return { ...carried, stream: (index) => createReadStream(streamFile(folder, index)) };
}
