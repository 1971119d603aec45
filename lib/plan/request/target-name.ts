import { datasetOf } from '../../../schemas/names.ts';
import type { SendRequest, Target } from '../../../schemas/plan.ts';

/** The target's name for the dataset that is sent, or for the package's root (zfs-receive(8), `-d` and `-e`). */
export function targetRoot({ dataset, to }: SendRequest): string {
  const name = datasetOf(dataset);
  if (to.dataset === undefined) return name;
  return to.append === undefined ? to.dataset : appended(name, to.dataset, to.append);
}

function appended(name: string, below: string, append: NonNullable<Target['append']>): string {
  const elements = name.split('/');
  return [below, ...(append === 'path' ? elements.slice(1) : elements.slice(-1))].join('/');
}

/** The flag that appends a source's name to the target's, and the dataset that this comes to. */
export interface PlaceBelow {
  readonly flag: '-d' | '-e';
  readonly name: string;
}

/** Where a request would go with `-d` or `-e`; none where that is the same place, or where `to` has no dataset to append to. */
export function placesBelow(request: SendRequest): PlaceBelow[] {
  const { dataset, to } = request;
  const below = to.dataset;
  if (below === undefined) return [];
  const places: PlaceBelow[] = [
    { flag: '-d', name: appended(datasetOf(dataset), below, 'path') },
    { flag: '-e', name: appended(datasetOf(dataset), below, 'last') },
  ];
  return places.filter(({ name }) => name !== below && name !== targetRoot(request));
}
