import { niceTime, table } from './format.ts';
import { getopt } from './getopt.ts';
import { changePoolOf, findDataset, findSnapshot, noSuch, readPoolOf } from './lookup.ts';
import { checkedName, isBelow, parseName } from './names.ts';
import { now } from './new-dataset.ts';
import { complain, print } from './output.ts';
import { Refusal, usage } from './refusal.ts';
import type { Dataset, Pool, Snapshot } from './state.ts';

const HOLD = 'hold [-r] <tag> <snapshot> ...';
const HOLDS = 'holds [-rHp] <snapshot> ...';
const RELEASE = 'release [-r] <tag> <snapshot> ...';

interface Place {
  full: string;
  dataset: Dataset;
  snapshot: Snapshot | undefined;
}

/** `zfs hold`: holds the other snapshots even if one fails. */
export const hold = (argv: readonly string[]): number =>
  each(argv, HOLD, (places, tag) => {
    const faults: string[] = [];
    for (const { full, snapshot } of places) {
      if (snapshot === undefined) faults.push(`cannot hold snapshot '${full}': dataset does not exist`);
      else if (snapshot.holds?.some(([other]) => other === tag)) {
        faults.push(`cannot hold snapshot '${full}': tag already exists on this dataset`);
      } else snapshot.holds = [...(snapshot.holds ?? []), [tag, now()]];
    }
    return faults;
  });

/** `zfs release`; a snapshot marked by `destroy -d` is destroyed with its last hold. */
export const release = (argv: readonly string[]): number =>
  each(argv, RELEASE, (places, tag) => {
    const faults: string[] = [];
    for (const { full, dataset, snapshot } of places) {
      if (snapshot === undefined) {
        faults.push(`cannot release hold from snapshot '${full}': dataset does not exist`);
      } else if (!snapshot.holds?.some(([other]) => other === tag)) {
        faults.push(`cannot release hold from snapshot '${full}': no such tag on this dataset`);
      } else {
        snapshot.holds = snapshot.holds.filter(([other]) => other !== tag);
        if (snapshot.holds.length > 0) continue;
        delete snapshot.holds;
        if (snapshot.deferred) dataset.snapshots = dataset.snapshots.filter((other) => other !== snapshot);
      }
    }
    return faults;
  });

function each(
  argv: readonly string[],
  synopsis: string,
  act: (places: readonly Place[], tag: string) => string[],
): number {
  const { given, operands } = getopt(argv, 'r', synopsis);
  const [tag, ...names] = operands;
  if (tag === undefined || names.length === 0) throw usage('not enough arguments', synopsis);
  const faults: string[] = [];
  for (const name of names) {
    if (!name.includes('@')) throw new Refusal(`'${name}' is not a snapshot`);
    checkedName(name);
  }
  const byPool = Map.groupBy(names, (name) => name.split('/')[0]?.split('@')[0] ?? '');
  for (const group of byPool.values()) {
    changePoolOf(group[0] ?? '', (pool) => {
      faults.push(
        ...act(
          group.flatMap((name) => placesOf(pool, name, given.has('r'))),
          tag,
        ),
      );
    });
  }
  complain(faults.map((fault) => `${fault}\n`).join(''));
  return faults.length > 0 ? 1 : 0;
}

function placesOf(pool: Pool, full: string, recursive: boolean): Place[] {
  const name = parseName(full);
  const top = findDataset(pool, name.dataset);
  if (top === undefined) throw noSuch(name.dataset);
  const place = (dataset: Dataset): Place => ({
    full: `${dataset.name}@${name.snapshot}`,
    dataset,
    snapshot: findSnapshot(dataset, name.snapshot),
  });
  if (!recursive) return [place(top)];
  const found = pool.datasets.filter((each) => each === top || isBelow(each.name, top.name)).map(place);
  const there = found.filter(({ snapshot }) => snapshot !== undefined);
  return there.length > 0 ? there : [place(top)];
}

/** `zfs holds`. */
export function holds(argv: readonly string[]): number {
  const { given, operands } = getopt(argv, 'rHp', HOLDS);
  if (operands.length === 0) throw usage('not enough arguments', HOLDS);
  const rows: string[][] = [];
  let exit = 0;
  for (const full of operands) {
    if (!full.includes('@')) throw new Refusal(`'${full}' is not a snapshot`);
    const pool = readPoolOf(full);
    const { dataset } = parseName(full);
    const places =
      findDataset(pool, dataset) === undefined || pool === undefined ? [] : placesOf(pool, full, given.has('r'));
    const known = places.filter(({ snapshot }) => snapshot !== undefined);
    if (known.length === 0) {
      complain(`${noSuch(full).message}\nno datasets available\n`);
      exit = 1;
    }
    for (const place of known) {
      for (const [tag, time] of place.snapshot?.holds ?? [])
        rows.push([place.full, tag, given.has('p') ? String(time) : niceTime(time)]);
    }
  }
  if (rows.length === 0) return exit;
  print(
    given.has('H')
      ? rows.map((row) => `${row.join('\t')}\n`).join('')
      : table(['NAME', 'TAG', 'TIMESTAMP'], rows, new Set()),
  );
  return exit;
}
