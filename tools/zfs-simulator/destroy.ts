import { busyFault, destroySnapshots, type Wishes } from './destroy-snapshots.ts';
import { getopt } from './getopt.ts';
import { findBookmark, findDataset, noSuch } from './lookup.ts';
import { checkedName, isBelow, parentOf, parseName, poolOf } from './names.ts';
import { print } from './output.ts';
import { beingReceived, dropReceipt } from './receipt.ts';
import { Refusal, usage } from './refusal.ts';
import { changePool, type Dataset, type Pool } from './state.ts';

const SYNOPSIS = `destroy [-fnpRrv] <filesystem|volume>
\tdestroy [-dnpRrv] <filesystem|volume>@<snap>[%<snap>][,...]
\tdestroy <filesystem|volume>#<bookmark>`;

/** `zfs destroy`. */
export function destroy(argv: readonly string[]): number {
  const { given, operands } = getopt(argv, 'vpndfrR', SYNOPSIS);
  const [target, ...more] = operands;
  if (target === undefined) throw usage('missing dataset argument', SYNOPSIS);
  if (more.length > 0) throw usage('too many arguments', SYNOPSIS);
  const wishes: Wishes = {
    recursive: given.has('r') || given.has('R'),
    deferred: given.has('d'),
    dryRun: given.has('n'),
    verbose: given.has('v'),
    parsable: given.has('p'),
  };
  const act = target.includes('@') ? destroySnapshots : target.includes('#') ? destroyBookmark : destroyDataset;
  return changePool(
    poolOf(target),
    (pool) => act(pool, target, wishes),
    () => noSuch(target.split('@')[0] ?? target),
  );
}

function destroyDataset(pool: Pool, name: string, wishes: Wishes): number {
  checkedName(name);
  const dataset = findDataset(pool, name);
  if (dataset === undefined) throw noSuch(name);
  if (parentOf(name) === undefined && !wishes.recursive) {
    throw new Refusal(
      `cannot destroy '${name}': operation does not apply to pools\n` +
        `use 'zfs destroy -r ${name}' to destroy all datasets in the pool\n` +
        `use 'zpool destroy ${name}' to destroy the pool itself`,
    );
  }
  const doomed = pool.datasets.filter((each) => each === dataset || isBelow(each.name, name));
  const dependents = [
    ...doomed
      .filter((each) => each !== dataset)
      .flatMap((each) => [...each.snapshots.map((tail) => `${each.name}@${tail.name}`), each.name]),
    ...(dataset.receipt !== undefined && !dataset.receipt.fresh ? [`${name}/%recv`] : []),
    ...dataset.snapshots.map((each) => `${name}@${each.name}`),
  ];
  if (dependents.length > 0 && !wishes.recursive) {
    throw new Refusal(
      `cannot destroy '${name}': ${dataset.type} has children\nuse '-r' to destroy the following datasets:\n${dependents.join('\n')}`,
    );
  }
  const names = new Set(doomed.map((each) => each.name));
  const clones = pool.datasets.filter(
    (each) => each.origin !== undefined && names.has(parseName(each.origin).dataset) && !names.has(each.name),
  );
  if (clones.length > 0) {
    throw new Refusal(
      `cannot destroy '${name}': ${dataset.type} has dependent clones\n` +
        `use '-R' to destroy the following datasets:\n${clones.map((each) => each.name).join('\n')}`,
    );
  }
  for (const each of doomed) refuseBusy(each);
  if (wishes.verbose)
    for (const each of doomed)
      print(wishes.parsable ? `destroy\t${each.name}\n` : `${wishes.dryRun ? 'would' : 'will'} destroy ${each.name}\n`);
  if (wishes.dryRun) return 0;
  for (const each of doomed) if (each.receipt !== undefined) dropReceipt(each.receipt);
  pool.datasets = pool.datasets.filter((each) => !doomed.includes(each) || each.name === pool.name);
  return 0;
}

function refuseBusy(dataset: Dataset): void {
  if (beingReceived(dataset)) throw new Refusal(`cannot destroy '${dataset.name}': dataset is busy`);
  for (const snapshot of dataset.snapshots) {
    const fault = busyFault(dataset, snapshot);
    if (fault !== undefined) throw new Refusal(fault);
  }
}

function destroyBookmark(pool: Pool, target: string): number {
  const name = checkedName(target);
  const dataset = findDataset(pool, name.dataset);
  const mark = findBookmark(dataset, name.bookmark);
  if (dataset === undefined || mark === undefined) throw new Refusal(`bookmark '${target}' does not exist.`);
  dataset.bookmarks = dataset.bookmarks.filter((each) => each !== mark);
  return 0;
}
