import { getopt } from './getopt.ts';
import { changePoolOf, findBookmark, findSnapshot, lookupSnapshot, openDataset } from './lookup.ts';
import { Refusal, usage } from './refusal.ts';

const SYNOPSIS = 'promote <clone-filesystem>';

/** `zfs promote`: the clone takes over its origin and the snapshots before it. */
export function promote(argv: readonly string[]): void {
  const { operands } = getopt(argv, '', SYNOPSIS);
  const [name] = operands;
  if (name === undefined) throw usage('missing clone filesystem argument', SYNOPSIS);
  changePoolOf(name, (pool) => {
    const clone = openDataset(pool, name);
    const found = clone.origin === undefined ? undefined : lookupSnapshot(pool, clone.origin);
    if (found === undefined) throw new Refusal(`cannot promote '${name}': not a cloned filesystem`);
    const { dataset: old, snapshot: origin } = found;
    const moved = old.snapshots.filter((each) => each.txg <= origin.txg);
    const marks = old.bookmarks.filter((each) => each.txg <= origin.txg);
    const clash =
      moved.find((each) => findSnapshot(clone, each.name)) ?? marks.find((each) => findBookmark(clone, each.name));
    if (clash !== undefined) {
      throw new Refusal(`cannot promote '${name}': conflicting snapshot '${clash.name}' from parent '${clone.origin}'`);
    }
    const names = new Set(moved.map((each) => `${old.name}@${each.name}`));
    for (const each of pool.datasets) {
      if (each.origin !== undefined && names.has(each.origin))
        each.origin = each.origin.replace(`${old.name}@`, `${name}@`);
    }
    old.snapshots = old.snapshots.filter((each) => !moved.includes(each));
    clone.snapshots = [...moved, ...clone.snapshots];
    old.bookmarks = old.bookmarks.filter((each) => !marks.includes(each));
    clone.bookmarks.push(...marks);
    const { origin: before } = old;
    const shared = old.props['.shared'];
    old.origin = `${name}@${origin.name}`;
    old.props['.shared'] = String(origin.extents);
    delete clone.origin;
    delete clone.props['.shared'];
    if (before !== undefined) clone.origin = before;
    if (old.wrapping !== undefined) clone.wrapping = old.wrapping;
    delete old.wrapping;
    if (shared !== undefined) clone.props['.shared'] = shared;
  });
}
