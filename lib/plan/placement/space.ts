import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import type { DatasetEntry, Inventory } from '../../../schemas/inventory.ts';
import { isWithin, parentOf } from '../../../schemas/names.ts';
import type { Step } from '../../../schemas/plan.ts';

const mib = 1024 * 1024;
const inMib = (bytes: number): string => `${Math.ceil(bytes / mib)} MiB`;

/** Datasets of the target that are told of, each with what is to be written there. */
const mostTold = 20;

/**
 * Where a plan writes more than the target's listing says is available, the pool's room and the quotas above taken together. Nothing is
 * refused for it: the figures are what the source's snapshots take there, and the target may compress otherwise. Not counted is what
 * nobody can tell: the rest of an interrupted receive, and what a rollback frees first. Block clones are counted as the copies
 * that they become (openzfs#16961).
 */
export function shortagesOf(steps: readonly Step[], target: Inventory): ErrorBody[] {
  const there = new Map(target.datasets.map((dataset) => [dataset.name, dataset]));
  const needed = new Map<DatasetEntry, number>();
  for (const [name, chain] of Map.groupBy(steps, (step) => step.targetDataset)) {
    const bytes = there.get(name)?.resumeToken === undefined ? sizeOf(chain) : 0;
    for (let above: string | undefined = name; above !== undefined && bytes > 0; above = parentOf(above)) {
      const dataset = there.get(above);
      if (dataset) needed.set(dataset, (needed.get(dataset) ?? 0) + bytes);
    }
  }
  const short = [...needed].filter(([{ available }, bytes]) => available !== undefined && bytes > available);
  // what lacks room above lacks it below
  const highest = short.filter(
    ([{ name }]) => !short.some(([{ name: above }]) => above !== name && isWithin(name, above)),
  );
  return highest.slice(0, mostTold).map(([dataset, bytes]) => shortage(dataset, bytes, target.host));
}

const sizeOf = (steps: readonly Step[]): number =>
  steps[0]?.before?.kind === 'rollback' ? 0 : steps.reduce((sum, { size = 0 }) => sum + size, 0);

const shortage = ({ name, available = 0 }: DatasetEntry, needed: number, host: string): ErrorBody =>
  new ZpsendError(
    'NO_SPACE',
    `About ${inMib(needed)} would be written into ${name} on ${host}, and ${inMib(available)} are available there. ` +
      'Ways out: free space, or raise the quota, there; what fits arrives all the same.',
    { host, dataset: name, needed, available },
  ).toBody();
