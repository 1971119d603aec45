import type { DatasetEntry, Inventory } from '../../../schemas/inventory.ts';
import { isWithin } from '../../../schemas/names.ts';
import { isRefusal, type Refusal, refuse } from '../refusal.ts';
import { inOrder } from './txg.ts';

/**
 * The dataset of that name with its snapshots and bookmarks oldest first, or undefined if it is not listed.
 * Refuses a listing that contradicts itself, because a plan from it could be wrong.
 */
export function findDataset(inventory: Inventory, name: string): DatasetEntry | Refusal | undefined {
  const [dataset, ...others] = inventory.datasets.filter((entry) => entry.name === name);
  if (dataset === undefined) return undefined;
  if (others.length > 0) return damaged(inventory, `lists ${name} twice`);
  return checked(inventory, dataset);
}

/** As findDataset, for a dataset with its descendants, by name: parents come before their children. */
export function findSubtree(inventory: Inventory, root: string): Map<string, DatasetEntry> | Refusal {
  const found = new Map<string, DatasetEntry>();
  const guids = new Map<string, string>();
  for (const entry of inventory.datasets) {
    if (!isWithin(entry.name, root)) continue;
    if (found.has(entry.name)) return damaged(inventory, `lists ${entry.name} twice`);
    const twin = guids.get(entry.guid);
    if (twin !== undefined) {
      const pair = [twin, entry.name].toSorted().join(' and ');
      return damaged(inventory, `shows two datasets with the guid ${entry.guid}, ${pair}`);
    }
    guids.set(entry.guid, entry.name);
    const dataset = checked(inventory, entry);
    if (isRefusal(dataset)) return dataset;
    found.set(entry.name, dataset);
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function checked(inventory: Inventory, dataset: DatasetEntry): DatasetEntry | Refusal {
  const { name } = dataset;
  const guid = repeated(dataset.snapshots, (entry) => entry.guid);
  if (guid !== undefined) return damaged(inventory, `shows two snapshots of ${name} with the guid ${guid}`);
  const snapshot = repeated(dataset.snapshots, (entry) => entry.name);
  if (snapshot !== undefined) return damaged(inventory, `shows ${name}@${snapshot} twice`);
  // a dataset has at most one snapshot in a txg; bookmarks of one snapshot share its txg
  const txg = repeated(dataset.snapshots, (entry) => String(BigInt(entry.createtxg)));
  if (txg !== undefined) return damaged(inventory, `shows two snapshots of ${name} with the createtxg ${txg}`);
  const bookmark = repeated(dataset.bookmarks, (entry) => entry.name);
  if (bookmark !== undefined) return damaged(inventory, `shows ${name}#${bookmark} twice`);
  return { ...dataset, snapshots: inOrder(dataset.snapshots), bookmarks: inOrder(dataset.bookmarks) };
}

export const damaged = ({ host }: { host: string }, what: string): Refusal =>
  refuse('BAD_REQUEST', `The listing of ${host} ${what}. No plan can be made from it: list ${host} again.`, {
    details: { host },
  });

function repeated<T>(entries: readonly T[], key: (entry: T) => string): string | undefined {
  const seen = new Set<string>();
  for (const entry of entries) {
    const value = key(entry);
    if (seen.size === seen.add(value).size) return value;
  }
  return undefined;
}
