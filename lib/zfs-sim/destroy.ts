import { getopt } from './getopt.ts';
import { clonesOf, findBookmark, findDataset, noSuch } from './lookup.ts';
import { checkedName, isBelow, nameFault, parentOf, parseName, poolOf } from './names.ts';
import { complain, print } from './output.ts';
import { dropReceipt, inReceipt } from './receipt.ts';
import { Refusal, usage } from './refusal.ts';
import { isBeingSent } from './sending.ts';
import { changePool, type Dataset, type Pool, type Snapshot } from './state.ts';

const SYNOPSIS = `destroy [-fnpRrv] <filesystem|volume>
\tdestroy [-dnpRrv] <filesystem|volume>@<snap>[%<snap>][,...]
\tdestroy <filesystem|volume>#<bookmark>`;

interface Wishes {
  recursive: boolean;
  deferred: boolean;
  dryRun: boolean;
  verbose: boolean;
  parsable: boolean;
}

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
      `cannot destroy '${name}': filesystem has children\nuse '-r' to destroy the following datasets:\n${dependents.join('\n')}`,
    );
  }
  const names = new Set(doomed.map((each) => each.name));
  const clones = pool.datasets.filter(
    (each) => each.origin !== undefined && names.has(parseName(each.origin).dataset) && !names.has(each.name),
  );
  if (clones.length > 0) {
    throw new Refusal(
      `cannot destroy '${name}': filesystem has dependent clones\n` +
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
  if (inReceipt(dataset)) throw new Refusal(`cannot destroy '${dataset.name}': dataset is busy`);
  for (const snapshot of dataset.snapshots) {
    const fault = busyFault(dataset, snapshot);
    if (fault !== undefined) throw new Refusal(fault);
  }
}

function busyFault(dataset: Dataset, snapshot: Snapshot): string | undefined {
  const full = `${dataset.name}@${snapshot.name}`;
  if (snapshot.holds !== undefined) {
    return `cannot destroy snapshot ${full}: it's being held. Run 'zfs holds -r ${full}' to see holders.`;
  }
  return isBeingSent(full) ? `cannot destroy snapshot ${full}: dataset is busy` : undefined;
}

function destroySnapshots(pool: Pool, target: string, wishes: Wishes): number {
  const [name = '', tail = ''] = target.split('@');
  const fault = nameFault(tail === '' ? target : name);
  if (fault !== undefined) throw new Refusal(`cannot open '${target}': ${fault}`);
  const top = findDataset(pool, name);
  if (top === undefined) throw noSuch(name);
  const homes = wishes.recursive ? pool.datasets.filter((each) => each === top || isBelow(each.name, name)) : [top];
  const chosen = homes.flatMap((dataset) => choose(dataset, tail).map((snapshot) => ({ dataset, snapshot })));
  if (chosen.length === 0) throw new Refusal('could not find any snapshots to destroy; check snapshot names.');
  report(chosen, wishes);
  if (wishes.dryRun) return 0;
  for (const { dataset, snapshot } of chosen) {
    const full = `${dataset.name}@${snapshot.name}`;
    const clones = clonesOf(pool, full).map((each) => each.name);
    if (dataset.receipt !== undefined && !dataset.receipt.fresh && snapshot === dataset.snapshots.at(-1))
      clones.push(`${dataset.name}/%recv`);
    if (clones.length > 0) {
      throw new Refusal(
        `cannot destroy '${full}': snapshot has dependent clones\nuse '-R' to destroy the following datasets:\n${clones.join('\n')}`,
      );
    }
  }
  return remove(chosen, wishes.deferred);
}

/** Snapshots of `a,b` or `a%b` (both ends included, either end may be left out), oldest first. */
function choose(dataset: Dataset, tail: string): Snapshot[] {
  const wanted = new Set<Snapshot>();
  for (const part of tail.split(',')) {
    const [first = '', last] = part.split('%');
    const at = (name: string, otherwise: number): number =>
      name === '' ? otherwise : dataset.snapshots.findIndex((each) => each.name === name);
    const from = at(first, 0);
    const to = last === undefined ? from : at(last, dataset.snapshots.length - 1);
    if (from < 0 || to < 0) continue;
    for (const each of dataset.snapshots.slice(from, to + 1)) wanted.add(each);
  }
  return dataset.snapshots.filter((each) => wanted.has(each));
}

function report(chosen: readonly { dataset: Dataset; snapshot: Snapshot }[], wishes: Wishes): void {
  if (!wishes.verbose) return;
  for (const { dataset, snapshot } of chosen) {
    const full = `${dataset.name}@${snapshot.name}`;
    print(wishes.parsable ? `destroy\t${full}\n` : `${wishes.dryRun ? 'would' : 'will'} destroy ${full}\n`);
  }
  // content only ever grows here, so that a snapshot never holds what the dataset has not
  print(wishes.parsable ? 'reclaim\t0\n' : `${wishes.dryRun ? 'would' : 'will'} reclaim 0B\n`);
}

/** Removes all of them, or none where one is held or being sent. */
function remove(chosen: readonly { dataset: Dataset; snapshot: Snapshot }[], deferred: boolean): number {
  const faults: string[] = [];
  for (const { dataset, snapshot } of chosen) {
    if (deferred && snapshot.holds !== undefined) continue;
    const fault = busyFault(dataset, snapshot);
    if (fault !== undefined) faults.push(fault);
  }
  complain(faults.map((fault) => `${fault}\n`).join(''));
  if (faults.length > 0) return 1;
  const gone = new Set(chosen.map(({ snapshot }) => snapshot));
  for (const snapshot of gone) {
    if (snapshot.holds === undefined) continue;
    snapshot.deferred = true;
    gone.delete(snapshot);
  }
  for (const dataset of new Set(chosen.map((each) => each.dataset))) {
    dataset.snapshots = dataset.snapshots.filter((each) => !gone.has(each));
  }
  return 0;
}

function destroyBookmark(pool: Pool, target: string): number {
  const name = checkedName(target);
  const dataset = findDataset(pool, name.dataset);
  const mark = findBookmark(dataset, name.bookmark);
  if (dataset === undefined || mark === undefined) throw new Refusal(`bookmark '${target}' does not exist.`);
  dataset.bookmarks = dataset.bookmarks.filter((each) => each !== mark);
  return 0;
}
