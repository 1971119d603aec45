import { datasetOf } from '../../schemas/names.ts';
import type { SendRequest } from '../../schemas/plan.ts';

/** The target's name for the dataset that is sent, or for the package's root (zfs-receive(8), `-d` and `-e`). */
export function targetRoot({ dataset, to }: SendRequest): string {
  const name = datasetOf(dataset);
  if (to.dataset === undefined) return name;
  if (to.append === undefined) return to.dataset;
  const elements = name.split('/');
  return [to.dataset, ...(to.append === 'path' ? elements.slice(1) : elements.slice(-1))].join('/');
}
