import { type Item, type ItemType, nameOf } from './columns.ts';
import { findBookmark, findDataset, findSnapshot, noSuch, openDataset } from './lookup.ts';
import { checkedName, isBelow, poolOf } from './names.ts';
import { Refusal } from './refusal.ts';
import { type Dataset, type Pool, poolNames, readPool } from './state.ts';

export interface Walk {
  operands: readonly string[];
  types: ReadonlySet<ItemType>;
  /** The number of levels below an operand. */
  depth: number;
}

/** The items of `zfs list` and `zfs get`, unsorted; `refusals` has the errors of other operands. */
export function walk({ operands, types, depth }: Walk): { items: Item[]; refusals: Refusal[] } {
  const pools = new Map<string, Pool | undefined>();
  const poolNamed = (name: string): Pool | undefined => {
    if (!pools.has(name)) pools.set(name, readPool(name));
    return pools.get(name);
  };
  const items = new Map<string, Item>();
  const refusals: Refusal[] = [];
  const add = (item: Item): void => {
    items.set(nameOf(item), item);
  };
  for (const operand of operands.length > 0 ? operands : poolNames()) {
    try {
      open(operand, poolNamed(poolOf(operand)), types, depth, add);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      refusals.push(error);
    }
  }
  return { items: [...items.values()], refusals };
}

function open(
  operand: string,
  pool: Pool | undefined,
  types: ReadonlySet<ItemType>,
  depth: number,
  add: (item: Item) => void,
): void {
  const name = checkedOperand(operand, types);
  const dataset = findDataset(pool, name.dataset);
  if (name.snapshot !== undefined || name.bookmark !== undefined) {
    const snapshot = findSnapshot(dataset, name.snapshot);
    const bookmark = findBookmark(dataset, name.bookmark);
    if (pool === undefined || dataset === undefined || (snapshot === undefined && bookmark === undefined)) {
      throw name.bookmark === undefined
        ? noSuch(operand)
        : new Refusal(`cannot open '${operand}': no such pool or dataset`);
    }
    add({ pool, dataset, ...(snapshot ? { snapshot } : {}), ...(bookmark ? { bookmark } : {}) });
    return;
  }
  const top = openDataset(pool, name.dataset);
  if (depth === 0 && !types.has(top.type)) {
    throw new Refusal(`cannot open '${operand}': operation not applicable to datasets of this type`);
  }
  if (pool === undefined) return;
  const level = name.dataset.split('/').length;
  for (const each of depth === 0 ? [top] : pool.datasets) {
    if (each !== top && !isBelow(each.name, top.name)) continue;
    const below = each.name.split('/').length - level;
    if (below <= depth) addDataset(pool, each, below < depth, types, add);
  }
}

function addDataset(
  pool: Pool,
  dataset: Dataset,
  tails: boolean,
  types: ReadonlySet<ItemType>,
  add: (item: Item) => void,
): void {
  if (types.has(dataset.type)) add({ pool, dataset });
  if (!tails) return;
  if (types.has('snapshot')) for (const snapshot of dataset.snapshots) add({ pool, dataset, snapshot });
  if (types.has('bookmark')) for (const bookmark of dataset.bookmarks) add({ pool, dataset, bookmark });
}

function checkedOperand(operand: string, types: ReadonlySet<ItemType>) {
  if (operand.startsWith('/')) throw new Refusal(`cannot open '${operand}': No such file or directory`);
  if (operand.includes('@') && !types.has('snapshot')) {
    throw new Refusal(`cannot open '${operand}': snapshot delimiter '@' is not expected here`);
  }
  if (operand.includes('#') && !types.has('bookmark')) {
    throw new Refusal(`cannot open '${operand}': bookmark delimiter '#' is not expected here`);
  }
  return checkedName(operand);
}

/** The order of ZFS: by name, a dataset before its snapshots, these by txg. */
export function byName(left: Item, right: Item): number {
  const one = keyOf(left);
  const other = keyOf(right);
  if (one !== other) return Buffer.compare(Buffer.from(one), Buffer.from(other));
  return (left.snapshot?.txg ?? -1) - (right.snapshot?.txg ?? -1);
}

const keyOf = (item: Item): string => (item.bookmark === undefined ? item.dataset.name : nameOf(item));
