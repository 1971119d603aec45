import type { DatasetEntry, Inventory } from '../../schemas/inventory.ts';
import { type Refusal, refuse } from './refusal.ts';
import { inOrder } from './txg.ts';

/**
 * The dataset of that name with its snapshots and bookmarks oldest first, or undefined where there is none.
 * A listing that contradicts itself is refused: a plan made from it could be wrong.
 */
export function findDataset(inventory: Inventory, name: string): DatasetEntry | Refusal | undefined {
  const [dataset, ...others] = inventory.datasets.filter((entry) => entry.name === name);
  if (dataset === undefined) return undefined;
  if (others.length > 0) return damaged(inventory, `lists ${name} twice`);
  const guid = repeated(dataset.snapshots.map((entry) => entry.guid));
  if (guid !== undefined) return damaged(inventory, `shows two snapshots of ${name} with the guid ${guid}`);
  const leaf =
    repeated(dataset.snapshots.map((entry) => `@${entry.name}`)) ??
    repeated(dataset.bookmarks.map((entry) => `#${entry.name}`));
  if (leaf !== undefined) return damaged(inventory, `shows ${name}${leaf} twice`);
  return { ...dataset, snapshots: inOrder(dataset.snapshots), bookmarks: inOrder(dataset.bookmarks) };
}

const damaged = ({ host }: Inventory, what: string) =>
  refuse('BAD_REQUEST', `The listing of ${host} ${what}. No plan can be made from it: list ${host} again.`, {
    details: { host },
  });

function repeated(values: readonly string[]): string | undefined {
  const seen = new Set<string>();
  return values.find((value) => seen.size === seen.add(value).size);
}
