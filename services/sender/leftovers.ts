import type { Zfs } from '../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import type { DatasetEntry } from '../../schemas/inventory.ts';
import type { Leftover } from '../../schemas/leftovers.ts';
import type { Found } from '../host/leftovers.ts';
import { oldCursors } from './cursor.ts';
import { jobOfTag } from './holds.ts';

/** Cursors of this host's datasets that a newer one of the same target has made useless. */
export const cursorsLeft = (datasets: readonly DatasetEntry[]): Leftover[] =>
  datasets.flatMap(({ name, bookmarks }) =>
    oldCursors(bookmarks).map(
      (old): Leftover => ({
        kind: 'cursor',
        bookmark: `${name}#${old.name}`,
        guid: old.guid,
        newer: `${name}#${old.newer}`,
      }),
    ),
  );

/** Every snapshot that has a hold, by its full name, with its guid. */
const heldIn = (datasets: readonly DatasetEntry[]): Map<string, string> =>
  new Map(
    datasets.flatMap(({ name, snapshots }) =>
      snapshots
        .filter(({ userrefs }) => userrefs > 0)
        .map(({ name: leaf, guid }): [string, string] => [`${name}@${leaf}`, guid]),
    ),
  );

/**
 * What senders left on this host: holds of jobs that run no more, and old cursors. Which jobs run is asked after the holds are
 * listed, so that the hold of a job that begins meanwhile is not taken for one.
 * @param livingJobs undefined where nobody can say, and then no hold is a leftover
 */
export async function findLeftovers(
  zfs: Pick<Zfs, 'list' | 'holds'>,
  livingJobs: () => Promise<Set<string> | undefined>,
): Promise<Found> {
  const datasets = await zfs.list({});
  const cursors = cursorsLeft(datasets);
  const held = heldIn(datasets);
  const holds = held.size === 0 ? [] : await zfs.holds([...held.keys()]);
  const ofJobs = holds.flatMap(({ snapshot, tag }) => {
    const [job, guid] = [jobOfTag(tag), held.get(snapshot)];
    return job === undefined || guid === undefined ? [] : [{ kind: 'job-hold' as const, snapshot, guid, tag, job }];
  });
  if (ofJobs.length === 0) return { leftovers: cursors, notes: [] };
  const living = await livingJobs();
  if (living) return { leftovers: [...ofJobs.filter(({ job }) => !living.has(job)), ...cursors], notes: [] };
  const found = `${ofJobs.length} holds of jobs, and which jobs run could not be learned`;
  return { leftovers: cursors, notes: [{ about: 'unclear', found, mend: 'ask again when all senders answer' }] };
}

/** Releases the one hold, or removes the one bookmark. @throws ZpsendError what ZFS said */
export async function mendLeftover(zfs: Pick<Zfs, 'release' | 'destroyBookmark'>, leftover: Leftover): Promise<void> {
  if (leftover.kind === 'cursor') await zfs.destroyBookmark(leftover.bookmark);
  else if (leftover.kind === 'job-hold') await zfs.release(leftover.tag, [leftover.snapshot]);
  else throw new ZpsendError('BAD_REQUEST', `a sender does not mend a ${leftover.kind}`);
}
