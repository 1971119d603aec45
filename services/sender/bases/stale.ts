import type { Zfs } from '../../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { DatasetEntry } from '../../../schemas/inventory.ts';
import type { StaleMark, StaleNote } from '../../../schemas/stale.ts';
import type { Found } from '../../host/stale.ts';
import { oldCursors, tentativeCursorName } from './cursor-name.ts';
import { parseTag } from './holds.ts';

/** Cursors of this host's datasets that a newer one of the same target has made useless. */
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

/** Every snapshot that has a hold, by its full name, with its guid. */
const heldIn = (datasets: readonly DatasetEntry[]): Map<string, string> =>
  new Map(
    datasets.flatMap(({ name, snapshots }) =>
      snapshots
        .filter(({ userrefs }) => userrefs > 0)
        .map(({ name: leaf, guid }): [string, string] => [`${name}@${leaf}`, guid]),
    ),
  );

export interface Jobs {
  /** Those that run, on any instance; undefined where nobody can say, and then no hold is a stale mark. */
  living(): Promise<ReadonlySet<string> | undefined>;
  /** Those that this NATS knows of; undefined where a service of this host answers here, so that its jobs are here. */
  known(): Promise<ReadonlySet<string> | undefined>;
}

/**
 * What senders left on this host: holds of jobs that run no more, and old cursors. Which jobs run is asked after the holds are
 * listed, so that the hold of a job that begins meanwhile is not taken for one. A job on another NATS is not heard of on this one.
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
    const found = `${ofJobs.length} holds of jobs, and which jobs run could not be learned`;
    return { staleMarks: cursors, notes: [{ about: 'unclear', found, remedy: 'ask again when all senders answer' }] };
  }
  const [here, elsewhere] = [
    ofJobs.filter(({ job }) => isKnown(job, known)),
    ofJobs.filter(({ job }) => !isKnown(job, known)),
  ];
  return {
    staleMarks: [...here.filter(({ job }) => !living.has(job)), ...cursors],
    notes: elsewhere.length > 0 ? [unheardOf(elsewhere)] : [],
  };
}

const isKnown = (job: string, known: ReadonlySet<string> | undefined): boolean => known?.has(job) ?? true;

function unheardOf(holds: readonly { tag: string; snapshot: string }[]): StaleNote {
  const [first] = holds;
  const more = holds.length > 1 ? ` and ${holds.length - 1} more` : '';
  return {
    about: 'unclear',
    found: `${first?.tag} on ${first?.snapshot}${more}: no service of this host answers on this NATS, and its jobs are unknown here, so whether they run elsewhere cannot be known`,
    remedy: 'ask on the NATS that they use (NATS_URL); the next job to the same target releases what is left of them',
  };
}

/**
 * Releases the one hold, or removes the one bookmark. What was held is bookmarked first: the target of the job may have it,
 * and nothing else in common with this host.
 * @param bookmarks cursors are wanted here
 * @throws ZpsendError what ZFS said
 */
export async function repairStaleMark(
  zfs: Pick<Zfs, 'release' | 'bookmark' | 'destroyBookmark'>,
  staleMark: StaleMark,
  bookmarks: boolean,
): Promise<void> {
  if (staleMark.kind === 'cursor') return zfs.destroyBookmark(staleMark.bookmark);
  if (staleMark.kind !== 'step-hold')
    throw new ZpsendError('BAD_REQUEST', `a sender does not mend a ${staleMark.kind}`);
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
      `its target may need it, and no bookmark can stand for it (${message}). Send there again, or: zfs release ${tag} ${snapshot}`,
    );
  }
}
