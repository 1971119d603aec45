import type { Zfs } from '../../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { DatasetEntry } from '../../../schemas/inventory.ts';
import type { StaleMark, StaleNote } from '../../../schemas/stale.ts';
import type { Found } from '../../host/stale.ts';
import { oldCursors, tentativeCursorName } from './cursor-name.ts';
import { parseTag } from './holds.ts';

/** Cursors of this host's datasets that a newer one of the same target replaces. */
const cursorsLeft = (datasets: readonly DatasetEntry[]): StaleMark[] =>
  datasets.flatMap(({ name, bookmarks }) =>
    oldCursors(bookmarks).map(
      (old): StaleMark => ({
        kind: 'cursor',
        bookmark: `${name}#${old.name}`,
        guid: old.guid,
        newer: `${name}#${old.newer}`,
      }),
    ),
  );

/** The guids of all snapshots with a hold, by full name. */
const heldIn = (datasets: readonly DatasetEntry[]): Map<string, string> =>
  new Map(
    datasets.flatMap(({ name, snapshots }) =>
      snapshots
        .filter(({ userrefs }) => userrefs > 0)
        .map(({ name: leaf, guid }): [string, string] => [`${name}@${leaf}`, guid]),
    ),
  );

export interface Jobs {
  /** Those that run, on any instance; undefined where an instance did not answer, and then no hold is a stale mark. */
  living(): Promise<ReadonlySet<string> | undefined>;
  /** Those that this NATS knows; undefined where a service of this host answers on it, so that all its jobs are here. */
  known(): Promise<ReadonlySet<string> | undefined>;
}

/**
 * Stale marks of senders on this host: holds of dead jobs, and old cursors. Running jobs are asked for after the holds are listed,
 * so that the hold of a job that begins meanwhile is not stale. Jobs on another NATS are unknown here.
 */
export async function findStaleMarks(zfs: Pick<Zfs, 'list' | 'holds'>, jobs: Jobs): Promise<Found> {
  const datasets = await zfs.list({});
  const cursors = cursorsLeft(datasets);
  const held = heldIn(datasets);
  const holds = held.size === 0 ? [] : await zfs.holds([...held.keys()]);
  const ofJobs = holds.flatMap(({ snapshot, tag }) => {
    const [job, guid] = [parseTag(tag)?.job, held.get(snapshot)];
    return job === undefined || guid === undefined ? [] : [{ kind: 'step-hold' as const, snapshot, guid, tag, job }];
  });
  if (ofJobs.length === 0) return { staleMarks: cursors, notes: [] };
  const [living, known] = [await jobs.living(), await jobs.known()];
  if (!living) {
    const found = `${ofJobs.length} holds of jobs, and the running jobs are unknown`;
    return { staleMarks: cursors, notes: [{ about: 'unclear', found, remedy: 'ask again when all senders answer' }] };
  }
  const [here, elsewhere] = [
    ofJobs.filter(({ job }) => isKnown(job, known)),
    ofJobs.filter(({ job }) => !isKnown(job, known)),
  ];
  return {
    staleMarks: [...here.filter(({ job }) => !living.has(job)), ...cursors],
    notes: elsewhere.length > 0 ? [ofUnknownJobs(elsewhere)] : [],
  };
}

const isKnown = (job: string, known: ReadonlySet<string> | undefined): boolean => known?.has(job) ?? true;

function ofUnknownJobs(holds: readonly { tag: string; snapshot: string }[]): StaleNote {
  const [first] = holds;
  const more = holds.length > 1 ? ` and ${holds.length - 1} more` : '';
  return {
    about: 'unclear',
    found: `${first?.tag} on ${first?.snapshot}${more}: no service of this host answers on this NATS, so whether these jobs run on another one is not known`,
    remedy: 'ask on their NATS (NATS_URL); the next job to the same target releases stale holds',
  };
}

/**
 * Releases one hold, or removes one bookmark. A held snapshot gets a tentative cursor first: it may be the only common one of the
 * job's target.
 * @param bookmarks whether this host keeps cursors
 * @throws ZpsendError the error of ZFS
 */
export async function repairStaleMark(
  zfs: Pick<Zfs, 'release' | 'bookmark' | 'destroyBookmark'>,
  staleMark: StaleMark,
  bookmarks: boolean,
): Promise<void> {
  if (staleMark.kind === 'cursor') return zfs.destroyBookmark(staleMark.bookmark);
  if (staleMark.kind !== 'step-hold')
    throw new ZpsendError('BAD_REQUEST', `a sender does not repair a ${staleMark.kind}`);
  const { snapshot, tag, guid } = staleMark;
  const target = parseTag(tag)?.target;
  if (bookmarks && target !== undefined) await keepBase(zfs, staleMark, tentativeCursorName(snapshot, target, guid));
  await zfs.release(tag, [snapshot]);
}

async function keepBase(
  zfs: Pick<Zfs, 'bookmark'>,
  { snapshot, tag }: { snapshot: string; tag: string },
  cursor: string,
): Promise<void> {
  try {
    await zfs.bookmark(snapshot, cursor);
  } catch (thrown) {
    const { code, message } = ZpsendError.from(thrown);
    throw new ZpsendError(
      code,
      `its target may need it, and no bookmark can replace it (${message}). Send to that target again, or run zfs release ${tag} ${snapshot}`,
    );
  }
}
