import { datasetOf } from '../../../schemas/names.ts';
import type { SendRequest, Target } from '../../../schemas/request.ts';
import type { JobContext } from './job-context.ts';

/** The target's name for the sent dataset, or for the package's root (zfs-receive(8), `-d` and `-e`). */
export function targetDatasetOf({ dataset, to }: Pick<SendRequest, 'dataset' | 'to'>): string {
  const sourceDataset = datasetOf(dataset);
  if (to.dataset === undefined) return sourceDataset;
  return to.append === undefined ? to.dataset : appended(sourceDataset, to.dataset, to.append);
}

function appended(sourceDataset: string, below: string, append: NonNullable<Target['append']>): string {
  const elements = sourceDataset.split('/');
  return [below, ...(append === 'path' ? elements.slice(1) : elements.slice(-1))].join('/');
}

/** A flag that appends the source's name to the target's, and the resulting dataset. */
export interface AppendedTarget {
  readonly flag: '-d' | '-e';
  readonly name: string;
}

/** The targets that a request would have with `-d` or `-e`, if they differ; none if `to` has no dataset. */
export function appendedTargets({ sourceDataset, targetDataset, request }: JobContext): AppendedTarget[] {
  const below = request.to.dataset;
  if (below === undefined) return [];
  const targets: AppendedTarget[] = [
    { flag: '-d', name: appended(sourceDataset, below, 'path') },
    { flag: '-e', name: appended(sourceDataset, below, 'last') },
  ];
  return targets.filter(({ name }) => name !== below && name !== targetDataset);
}
