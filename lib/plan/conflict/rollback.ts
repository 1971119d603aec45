import { maxDestroys, type Rollback } from '../../../schemas/conflict.ts';
import type { DatasetEntry, Inventory } from '../../../schemas/inventory.ts';
import { isCursor } from '../cursor-name.ts';
import type { Base } from '../inventory/bases.ts';
import { isAfter } from '../inventory/txg.ts';
import { isModified } from './evidence.ts';

/** Something that a policy would do, or in words why it cannot. */
export type Found<C> = { clearing: C } | { why: string };

/**
 * The target's dataset back to the newest common snapshot: what is newer there by its own createtxg goes, listed by guid, and
 * whatever was written since. Nothing goes that the source still has, in whatever dataset: a promotion may have moved it.
 * Cursors of what goes go too: whoever the target sends it on to has diverged from it then in any case.
 * @param target with its snapshots oldest first
 * @param listing what else the target has: a snapshot that something was cloned from cannot go
 */
export function rollbackTo(
  common: Base | undefined,
  source: Inventory,
  target: DatasetEntry,
  listing: Inventory,
): Found<Rollback> {
  const { name } = target;
  const to = target.snapshots.find(({ guid }) => guid === common?.guid);
  if (to === undefined) return { why: `there is no common snapshot to go back to; ${rotateInstead}` };
  const newer = target.snapshots.filter((entry) => isAfter(entry, to));
  if (newer.length === 0 && !isModified(target)) {
    return { why: `what is in the way is not newer than @${to.name}; ${rotateInstead}` };
  }
  const going = new Set(newer.map(({ guid }) => guid));
  const known = source.datasets
    .flatMap(({ snapshots, bookmarks }) => [...snapshots, ...bookmarks])
    .find(({ guid }) => going.has(guid));
  if (known) {
    const shared = newer.find(({ guid }) => guid === known.guid);
    return { why: `${source.host} still has @${shared?.name}, in another dataset or another order; ${rotateInstead}` };
  }
  const full = new Set(newer.map((entry) => `${name}@${entry.name}`));
  const clone = listing.datasets.find(({ origin }) => origin !== undefined && full.has(origin.name));
  if (clone) return { why: `${clone.name} there is a clone of ${clone.origin?.name}, which would have to go` };
  const marks = target.bookmarks.filter((mark) => isAfter(mark, to));
  const foreign = marks.find((mark) => !isCursor(mark));
  if (foreign) {
    return { why: `ZFS goes back over no newer bookmark: zfs destroy "${name}#${foreign.name}" there first` };
  }
  const most = Math.max(newer.length, marks.length);
  if (most > maxDestroys) {
    const what = `${most} ${most === newer.length ? 'snapshots' : 'cursor bookmarks'}`;
    return {
      why: `${what} would have to go, and more than ${maxDestroys} at once are not destroyed; ${rotateInstead}`,
    };
  }
  const { written, rolledBack } = target;
  return {
    clearing: {
      kind: 'rollback',
      guid: target.guid,
      to: { name: `${name}@${to.name}`, guid: to.guid },
      destroys: newer.map(named),
      ...(marks.length > 0 && { cursors: marks.map(named) }),
      ...(written > 0 && { written }),
      ...(rolledBack !== undefined && { after: rolledBack }),
    },
  };
}

const named = ({ name, guid }: { name: string; guid: string }) => ({ name, guid });

const rotateInstead = '--conflict rotate moves it aside and loses nothing';
