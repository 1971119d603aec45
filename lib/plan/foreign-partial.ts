import type { DatasetEntry, Inventory } from '../../schemas/inventory.ts';
import { parentOf } from '../../schemas/names.ts';
import type { Item } from './matching.ts';
import { type Refusal, refuse } from './refusal.ts';

/**
 * Is what an interrupted seed has left another dataset's? Hosts with datasets of one name may be allowed into one place. The
 * mark tells, unless it is inherited from the dataset above.
 */
export function isForeignPartial(existing: DatasetEntry, { guid }: DatasetEntry, { datasets }: Inventory): boolean {
  if (existing.resumeToken === undefined || existing.snapshots.length > 0 || existing.stream === undefined)
    return false;
  const above = datasets.find(({ name }) => name === parentOf(existing.name));
  return existing.stream.split(':', 1)[0] !== guid && existing.stream !== above?.stream;
}

export const foreignPartial = ({ dataset, target }: Item, host: string): Refusal =>
  refuse(
    'EXISTS',
    `${target} on ${host} holds what an interrupted receive of another dataset than ${dataset.name} has left, which is not ` +
      `dropped unasked: finish that one, or zfs receive -A ${target} on ${host}.`,
    { details: { host, dataset: target } },
  );
