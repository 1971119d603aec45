import { clonesOf, findDataset, noSuch } from './lookup.ts';
import { isBelow, nameFault } from './names.ts';
import { complain, print } from './output.ts';
import { Refusal } from './refusal.ts';
import { isBeingSent } from './sending.ts';
import type { Dataset, Pool, Snapshot } from './state.ts';

/** The options of `zfs destroy`. */
export interface Wishes {
  recursive: boolean;
  deferred: boolean;
  dryRun: boolean;
  verbose: boolean;
  parsable: boolean;
}

/** Why a snapshot cannot be destroyed now, in ZFS's words. */
export function busyFault(dataset: Dataset, snapshot: Snapshot): string | undefined {
  const full = `${dataset.name}@${snapshot.name}`;
  if (snapshot.holds !== undefined) {
    return `cannot destroy snapshot ${full}: it's being held. Run 'zfs holds -r ${full}' to see holders.`;
  }
  return isBeingSent(full) ? `cannot destroy snapshot ${full}: dataset is busy` : undefined;
}

/** Destroys the snapshots of `dataset@a,b%c`. */
export function destroySnapshots(pool: Pool, target: string, wishes: Wishes): number {
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

/** Snapshots of `a,b` or `a%b` (including both ends, either of which may be omitted), oldest first. */
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
  // content only grows here, so a snapshot never has data that the dataset lacks
  print(wishes.parsable ? 'reclaim\t0\n' : `${wishes.dryRun ? 'would' : 'will'} reclaim 0B\n`);
}

/** Destroys all of them, or none if one is held or being sent. */
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
