import { getopt } from './getopt.ts';
import { changePoolOf, findDataset, findSnapshot, noSuch } from './lookup.ts';
import { isBelow, nameFault, parentOf, parseName, poolOf } from './names.ts';
import { inReceipt } from './receipt.ts';
import { Refusal, usage } from './refusal.ts';
import type { Pool } from './state.ts';

const SYNOPSIS = 'rename [-f] <filesystem|volume|snapshot> <filesystem|volume|snapshot>';

/** `zfs rename`, of a dataset with all below it, or of a snapshot. */
export function rename(argv: readonly string[]): void {
  const { operands } = getopt(argv, 'fpru', SYNOPSIS);
  const [from, target] = operands;
  if (from === undefined) throw usage('missing source dataset argument', SYNOPSIS);
  if (target === undefined) throw usage('missing target dataset argument', SYNOPSIS);
  const to = target.startsWith('@') ? `${parseName(from).dataset}${target}` : target;
  changePoolOf(from, (pool, name) => {
    const fault = nameFault(to);
    if (fault !== undefined) throw new Refusal(`cannot rename '${from}': ${fault}`);
    if (name.snapshot === undefined) renameDataset(pool, from, to);
    else renameSnapshot(pool, from, to);
  });
}

function renameDataset(pool: Pool, from: string, to: string): void {
  const dataset = findDataset(pool, from);
  if (dataset === undefined) throw noSuch(from);
  if (poolOf(to) !== pool.name) throw new Refusal(`cannot rename to '${to}': datasets must be within same pool`);
  if (findDataset(pool, to) !== undefined) throw new Refusal(`cannot rename '${from}': dataset already exists`);
  if (isBelow(to, from))
    throw new Refusal(`cannot rename '${from}': New dataset name cannot be a descendant of current dataset name`);
  if (findDataset(pool, parentOf(to) ?? '') === undefined)
    throw new Refusal(`cannot create '${to}': parent does not exist`);
  if (inReceipt(dataset)) throw new Refusal(`cannot rename '${from}': dataset is busy`);
  const renamed = (name: string): string =>
    name === from || isBelow(name, from) || name.startsWith(`${from}@`) ? `${to}${name.slice(from.length)}` : name;
  for (const each of pool.datasets) {
    each.name = renamed(each.name);
    if (each.origin !== undefined) each.origin = renamed(each.origin);
  }
}

function renameSnapshot(pool: Pool, from: string, to: string): void {
  const name = parseName(from);
  const target = parseName(to);
  const dataset = findDataset(pool, name.dataset);
  const snapshot = findSnapshot(dataset, name.snapshot);
  if (dataset === undefined || snapshot === undefined) throw noSuch(from);
  if (target.dataset !== dataset.name || target.snapshot === undefined) {
    throw new Refusal(`cannot rename to '${to}': snapshots must be part of same dataset`);
  }
  if (findSnapshot(dataset, target.snapshot) !== undefined)
    throw new Refusal(`cannot rename '${from}': dataset already exists`);
  snapshot.name = target.snapshot;
  for (const each of pool.datasets) if (each.origin === from) each.origin = to;
}
