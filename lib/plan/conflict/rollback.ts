import { maxDestroys, type Rollback } from '../../../schemas/conflict.ts';
import type { DatasetEntry, Inventory } from '../../../schemas/inventory.ts';
import { isCursor } from '../cursor-name.ts';
import type { Base } from '../inventory/bases.ts';
import { isAfter } from '../inventory/txg.ts';
import { isModified } from './evidence.ts';

/** The resolution of a policy, or why it has none, for a message. */
export type Found<C> = { resolution: C } | { why: string };

/**
 * Rolls the target's dataset back to the newest common snapshot: destroys newer snapshots there (by createtxg, listed by guid), their
 * cursors, and later writes. Never destroys a snapshot that any dataset of the source still has: a promotion may have moved it.
 * @param target with its snapshots oldest first
 * @param listing of the target: a snapshot with a clone cannot be destroyed
 */
export function rollbackTo(
  common: Base | undefined,
  source: Inventory,
  target: DatasetEntry,
  listing: Inventory,
): Found<Rollback> {
  const { name } = target;
  const to = target.snapshots.find(({ guid }) => guid === common?.guid);
  if (to === undefined) return { why: `there is no common snapshot to roll back to; ${rotateInstead}` };
  const newer = target.snapshots.filter((entry) => isAfter(entry, to));
  if (newer.length === 0 && !isModified(target)) {
    return { why: `the conflicting snapshots are not newer than @${to.name}; ${rotateInstead}` };
  }
  const destroyed = new Set(newer.map(({ guid }) => guid));
  const known = source.datasets
    .flatMap(({ snapshots, bookmarks }) => [...snapshots, ...bookmarks])
    .find(({ guid }) => destroyed.has(guid));
  if (known) {
    const shared = newer.find(({ guid }) => guid === known.guid);
    return {
      why: `${source.host} still has @${shared?.name}, in another dataset or in another order; ${rotateInstead}`,
    };
  }
  const full = new Set(newer.map((entry) => `${name}@${entry.name}`));
  const clone = listing.datasets.find(({ origin }) => origin !== undefined && full.has(origin.name));
  if (clone)
    return {
      why: `${clone.name} there is a clone of ${clone.origin?.name}, which would be destroyed; ${rotateInstead}`,
    };
  const marks = target.bookmarks.filter((mark) => isAfter(mark, to));
  const foreign = marks.find((mark) => !isCursor(mark));
  if (foreign) {
    return {
      why: `zfs rollback refuses because of a newer bookmark: zfs destroy "${name}#${foreign.name}" there first`,
    };
  }
  const most = Math.max(newer.length, marks.length);
  if (most > maxDestroys) {
    const what = `${most} ${most === newer.length ? 'snapshots' : 'cursor bookmarks'}`;
    return {
      why: `${what} would be destroyed, and zpsend destroys at most ${maxDestroys} at once; ${rotateInstead}`,
    };
  }
  const { written, rolledBack } = target;
  return {
    resolution: {
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

const rotateInstead = '--conflict rotate renames the target instead, and loses nothing';
