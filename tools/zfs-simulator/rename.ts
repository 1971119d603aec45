import { makeParents } from './datasets.ts';
import { getopt } from './getopt.ts';
import { changePoolOf, clonesOf, findDataset, findSnapshot, noSuch, readPoolOf } from './lookup.ts';
import { isBelow, isTooDeep, nameFault, parentOf, parseName, poolOf } from './names.ts';
import { beingReceived } from './receipt.ts';
import { Refusal, usage } from './refusal.ts';
import type { Pool } from './state.ts';

const SYNOPSIS = `rename [-f] <filesystem|volume|snapshot> <filesystem|volume|snapshot>
\trename -p [-f] <filesystem|volume> <filesystem|volume>
\trename -r <snapshot> <snapshot>`;

/** `zfs rename` of a dataset with its descendants, or of a snapshot. */
export function rename(argv: readonly string[]): void {
  const { given, operands } = getopt(argv, 'fpru', SYNOPSIS);
  const [from, target] = operands;
  if (from === undefined) throw usage('missing source dataset argument', SYNOPSIS);
  if (target === undefined) throw usage('missing target dataset argument', SYNOPSIS);
  const to = target.startsWith('@') ? `${parseName(from).dataset}${target}` : target;
  changePoolOf(from, (pool, name) => {
    const fault = nameFault(to);
    if (fault !== undefined) throw new Refusal(`cannot rename to '${to}': ${fault}`);
    // renaming to the same name succeeds
    if (from === to) return;
    if (name.snapshot !== undefined) {
      renameSnapshot(pool, from, to, given.has('r'));
      return;
    }
    if (given.has('r')) throw usage('source dataset for recursive rename must be a snapshot', SYNOPSIS);
    if (given.has('p') && poolOf(to) === pool.name) makeParents(pool, parentOf(to) ?? '');
    renameDataset(pool, from, to);
  });
}

function renameDataset(pool: Pool, from: string, to: string): void {
  const dataset = findDataset(pool, from);
  if (dataset === undefined) throw noSuch(from);
  const home = poolOf(to) === pool.name ? pool : readPoolOf(to);
  const above = findDataset(home, parentOf(to) ?? '');
  if (parentOf(to) === undefined) throw new Refusal(`cannot create '${to}': missing dataset name`);
  if (home === undefined) throw new Refusal(`cannot create '${to}': no such pool '${poolOf(to)}'`);
  if (above === undefined) throw new Refusal(`cannot create '${to}': parent does not exist`);
  if (above.type === 'volume') throw new Refusal(`cannot create '${to}': parent is not a filesystem`);
  if (poolOf(to) !== pool.name) throw new Refusal(`cannot rename to '${to}': datasets must be within same pool`);
  if (isBelow(to, from))
    throw new Refusal(`cannot rename to '${to}': New dataset name cannot be a descendant of current dataset name`);
  // only a name that becomes deeper is checked
  const moved = to.split('/').length > from.split('/').length ? [from, ...below(pool, from)] : [];
  if (moved.some((name) => isTooDeep(`${to}${name.slice(from.length)}`)))
    throw new Refusal(`cannot rename '${from}': dataset name is too long`);
  if (findDataset(pool, to) !== undefined) throw new Refusal(`cannot rename '${from}': dataset already exists`);
  if (beingReceived(dataset)) throw new Refusal(`cannot rename '${from}': dataset is busy`);
  const renamed = (name: string): string =>
    name === from || isBelow(name, from) || name.startsWith(`${from}@`) ? `${to}${name.slice(from.length)}` : name;
  for (const each of pool.datasets) {
    each.name = renamed(each.name);
    if (each.origin !== undefined) each.origin = renamed(each.origin);
  }
}

const below = (pool: Pool, dataset: string): string[] =>
  pool.datasets.map(({ name }) => name).filter((name) => isBelow(name, dataset));

/** With `recursive`, of all descendants that have the snapshot: all of them or none. */
function renameSnapshot(pool: Pool, from: string, to: string, recursive: boolean): void {
  const name = parseName(from);
  const target = parseName(to);
  const top = findDataset(pool, name.dataset);
  if (top === undefined || findSnapshot(top, name.snapshot) === undefined) throw noSuch(from);
  if (target.dataset !== top.name || target.snapshot === undefined) {
    throw new Refusal(`cannot rename to '${to}': snapshots must be part of same dataset`);
  }
  const why = recursive ? 'a child dataset already has a snapshot with the new name' : 'dataset already exists';
  for (const dataset of recursive ? pool.datasets : [top]) {
    const snapshot = findSnapshot(dataset, name.snapshot);
    if (snapshot === undefined || (dataset !== top && !isBelow(dataset.name, top.name))) continue;
    const full = `${dataset.name}@${snapshot.name}`;
    if (findSnapshot(dataset, target.snapshot) !== undefined) throw new Refusal(`cannot rename '${full}': ${why}`);
    snapshot.name = target.snapshot;
    for (const clone of clonesOf(pool, full)) clone.origin = `${dataset.name}@${target.snapshot}`;
  }
}
