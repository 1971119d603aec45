import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import type { DatasetEntry, Inventory } from '../../../schemas/inventory.ts';
import { isWithin, parentOf } from '../../../schemas/names.ts';
import type { Step } from '../../../schemas/plan.ts';

const mib = 1024 * 1024;
const inMib = (bytes: number): string => `${Math.ceil(bytes / mib)} MiB`;

/** Limit of reported datasets. */
const mostReported = 20;

/**
 * Datasets of the target into which a plan writes more bytes than are available, by pool and quotas. A warning only: sizes are those at
 * the source, and the target may compress differently. Does not count the rest of an interrupted receive, nor space that a
 * rollback frees. Counts block clones as copies, which they become (openzfs#16961).
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
  // only the topmost: a shortage there includes its descendants
  const highest = short.filter(
    ([{ name }]) => !short.some(([{ name: above }]) => above !== name && isWithin(name, above)),
  );
  return highest.slice(0, mostReported).map(([dataset, bytes]) => shortage(dataset, bytes, target.host));
}

const sizeOf = (steps: readonly Step[]): number =>
  steps[0]?.before?.kind === 'rollback' ? 0 : steps.reduce((sum, { size = 0 }) => sum + size, 0);

const shortage = ({ name, available = 0 }: DatasetEntry, needed: number, host: string): ErrorBody =>
  new ZpsendError(
    'NO_SPACE',
    `About ${inMib(needed)} would be written into ${name} on ${host}, but only ${inMib(available)} are available. ` +
      'To fix: free space there, or raise the quota; the snapshots that fit arrive nevertheless.',
    { host, dataset: name, needed, available },
  ).toBody();
