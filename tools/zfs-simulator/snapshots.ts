import { extentCount, sharedExtents } from './content.ts';
import { isEnabled } from './features.ts';
import { assignments, getopt } from './getopt.ts';
import { randomGuid } from './guid.ts';
import { newIvset } from './keys.ts';
import {
  changePoolOf,
  clonesOf,
  findBookmark,
  findDataset,
  findSnapshot,
  noSuch,
  openDataset,
  openSnapshot,
  readPoolOf,
} from './lookup.ts';
import { isBelow, nameFault, parseName, poolOf } from './names.ts';
import { now } from './new-dataset.ts';
import { Refusal, usage } from './refusal.ts';
import { changePool, type Pool } from './state.ts';
import { isInPast } from './timeline.ts';

const SNAPSHOT = 'snapshot [-r] [-o property=value] ... <filesystem|volume>@<snap> ...';
const ROLLBACK = 'rollback [-rRf] <snapshot>';
const BOOKMARK = 'bookmark <snapshot|bookmark> <newbookmark>';

/** `zfs snapshot`: all of them or none, in one transaction group. */
export function snapshot(argv: readonly string[]): void {
  const { given, operands } = getopt(argv, 'ro:', SNAPSHOT);
  if (operands.length === 0) throw usage('missing snapshot argument', SNAPSHOT);
  const props = Object.fromEntries(assignments(given.get('o') ?? [], SNAPSHOT));
  for (const name of operands) {
    if (!name.includes('@')) throw usage('', SNAPSHOT);
    const fault = nameFault(name);
    if (fault !== undefined) throw new Refusal(`cannot create snapshot '${name}': ${fault}`);
    const { dataset } = parseName(name);
    if (findDataset(readPoolOf(name), dataset) === undefined) throw usage(noSuch(dataset).message, SNAPSHOT);
  }
  changePoolOf(operands[0] ?? '', (pool) => {
    const names = operands.flatMap((name) => (given.has('r') ? below(pool, name) : [name]));
    if (new Set(names.map((name) => parseName(name).dataset)).size < names.length) {
      throw new Refusal(
        'cannot create snapshots : multiple snapshots of same fs not allowed\nno snapshots were created',
      );
    }
    pool.txg += 2;
    const several = given.has('r') || operands.length > 1;
    const refuse = (name: string, why: string): Refusal =>
      new Refusal(`cannot create snapshot '${name}': ${why}${several ? '\nno snapshots were created' : ''}`);
    for (const name of names) takeSnapshot(pool, name, props, refuse);
  });
}

function below(pool: Pool, full: string): string[] {
  const { dataset, snapshot: name } = parseName(full);
  return pool.datasets
    .filter((each) => each.name === dataset || isBelow(each.name, dataset))
    .map((each) => `${each.name}@${name}`);
}

function takeSnapshot(
  pool: Pool,
  full: string,
  props: Record<string, string>,
  refuse: (name: string, why: string) => Refusal,
): void {
  const name = parseName(full);
  const dataset = openDataset(pool, name.dataset);
  if (findSnapshot(dataset, name.snapshot) !== undefined) throw refuse(full, 'dataset already exists');
  if (dataset.receipt?.fresh) throw refuse(full, 'dataset is busy');
  dataset.snapshots.push({
    name: name.snapshot ?? '',
    guid: randomGuid(),
    txg: pool.txg,
    time: now(),
    extents: extentCount(dataset),
    ...newIvset(dataset),
    ...(Object.keys(props).length > 0 ? { props } : {}),
  });
}

/** `zfs rollback`. */
export function rollback(argv: readonly string[]): void {
  const { given, operands } = getopt(argv, 'rRf', ROLLBACK);
  const [full, ...more] = operands;
  if (full === undefined) throw usage('missing dataset argument', ROLLBACK);
  if (more.length > 0) throw usage('too many arguments', ROLLBACK);
  changePoolOf(full, (pool) => {
    const { dataset, snapshot: target } = openSnapshot(pool, full);
    const newer = dataset.snapshots.filter((each) => each.txg > target.txg);
    const marks = dataset.bookmarks.filter((each) => each.txg > target.txg);
    const tails = [
      ...newer.map((each) => `${dataset.name}@${each.name}`),
      ...marks.map((each) => `${dataset.name}#${each.name}`),
    ];
    const destroys = given.has('r') || given.has('R');
    if (tails.length > 0 && !destroys) {
      throw new Refusal(
        `cannot rollback to '${full}': more recent snapshots or bookmarks exist\n` +
          `use '-r' to force deletion of the following snapshots and bookmarks:\n${tails.join('\n')}`,
      );
    }
    refuseClones(pool, full, tails);
    const held = newer.find((each) => (each.holds?.length ?? 0) > 0);
    if (held !== undefined) throw new Refusal(`cannot destroy '${dataset.name}@${held.name}': dataset is busy`);
    dataset.snapshots = dataset.snapshots.filter((each) => !newer.includes(each));
    dataset.bookmarks = dataset.bookmarks.filter((each) => !marks.includes(each));
    dataset.extents.length = Math.max(target.extents, sharedExtents(dataset)) * 2;
    pool.txg += 2;
  });
}

function refuseClones(pool: Pool, full: string, tails: readonly string[]): void {
  const clones = tails.flatMap((tail) => clonesOf(pool, tail).map((each) => each.name));
  if (clones.length === 0) return;
  throw new Refusal(
    `cannot rollback to '${full}': clones of previous snapshots exist\n` +
      `use '-R' to force deletion of the following clones and dependents:\n${clones.join('\n')}`,
  );
}

/** `zfs bookmark`. */
export function bookmark(argv: readonly string[]): void {
  const { operands } = getopt(argv, '', BOOKMARK);
  const [source, target] = operands;
  if (source === undefined) throw usage('missing source argument', BOOKMARK);
  if (target === undefined) throw usage('missing bookmark argument', BOOKMARK);
  const from = /^[@#]/.test(source) ? `${parseName(target).dataset}${source}` : source;
  const to = target.startsWith('#') ? `${parseName(from).dataset}${target}` : target;
  const refuse = (why: string): Refusal => new Refusal(`cannot create bookmark '${to}': ${why}`);
  changePool(
    poolOf(from),
    (pool) => {
      const name = parseName(from);
      const dataset = findDataset(pool, name.dataset);
      const base = findSnapshot(dataset, name.snapshot) ?? findBookmark(dataset, name.bookmark);
      if (dataset === undefined || base === undefined) throw usage(noSuch(from).message, BOOKMARK);
      // only for a bookmark, ZFS words a long name like this
      const fault = nameFault(to)?.replace('name is too long', 'invalid argument');
      if (fault !== undefined || !to.includes('#')) throw refuse(fault ?? 'bookmark name must contain a #');
      const mark = parseName(to);
      const home = openDataset(pool, mark.dataset);
      if (!isEnabled(pool, 'bookmarks')) throw refuse('bookmark feature not enabled');
      if (findBookmark(home, mark.bookmark) !== undefined) throw refuse('bookmark exists');
      const { guid, txg, time, extents, ivset } = base;
      if (!isInPast(pool, dataset, txg, home, Number.POSITIVE_INFINITY))
        throw refuse(`source is not an ancestor of the new bookmark's dataset`);
      home.bookmarks.push({
        name: mark.bookmark ?? '',
        guid,
        txg,
        time,
        extents,
        ...(ivset === undefined ? {} : { ivset }),
      });
    },
    () => usage(noSuch(from).message, BOOKMARK),
  );
}
