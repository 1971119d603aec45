import { isAfter } from '../../../lib/plan/inventory/txg.ts';
import { isRefusal } from '../../../lib/plan/refusal.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { datasetOf, maxNameLength } from '../../../schemas/names.ts';
import type { Step } from '../../../schemas/plan.ts';
import type { StoredStart } from '../../../schemas/stored.ts';
import type { Log } from '../../host/log.ts';
import { isForGood } from './cursor-bookmarks.ts';
import { cursorsOf, targetHash, tentativeCursorName } from './cursor-name.ts';
import type { Cursors } from './cursors.ts';

/**
 * The cursors of stored streams: a bookmark of each snapshot, so that the next incremental has its base even if the source destroys
 * the snapshot. They are tentative, and older ones stay until the target has reported a newer snapshot.
 */
export function storedCursors(zfs: Pick<Zfs, 'bookmark'>, log: Log, host: string): Cursors {
  return {
    // the target is not asked: a killed job's hold may protect its base, or that of a stored stream
    ensure: async ({ plans }) => (isRefusal(plans) ? [] : plans.datasets),
    chain() {
      let last: Pick<Step, 'to' | 'targetDataset'> | undefined;
      return {
        arrived({ to, targetDataset }) {
          last = { to, targetDataset };
        },
        markTentative: mark,
        async settle() {
          const failed = last && (await mark(last));
          if (failed === undefined) last = undefined;
          return failed;
        },
      };
    },
  };

  /** @returns the snapshot, if it has no cursor yet */
  async function mark({ to, targetDataset }: Pick<Step, 'to' | 'targetDataset'>): Promise<string | undefined> {
    const cursor = tentativeCursorName(to.name, targetHash({ host, dataset: targetDataset }), to.guid);
    try {
      if (cursor.length > maxNameLength)
        log.info('cursor.name-too-long', `${to.name} gets no cursor bookmark: its name is too long`);
      else await zfs.bookmark(to.name, cursor);
      return undefined;
    } catch (thrown) {
      const { code, message } = ZpsendError.from(thrown);
      const line = `cannot set the cursor bookmark of a stream stored for ${targetDataset} on ${host}: ${code}: ${message}`;
      // the job itself reports a read-only pool
      if (code === 'READ_ONLY') log.debug('cursor.failed', line, { code });
      else log.warn('cursor.failed', line, { code });
      return isForGood.has(code) ? undefined : to.name;
    }
  }
}

/**
 * Removes the cursors of older snapshots, after a target has received one from the store: those of streams that still wait are
 * newer. Without a cursor of the received one, the older ones stay.
 * @throws ZpsendError the error of ZFS
 */
export async function removeOldCursors(
  zfs: Pick<Zfs, 'list' | 'destroyBookmark'>,
  host: string,
  { to, targetDataset }: Pick<StoredStart, 'to' | 'targetDataset'>,
): Promise<void> {
  const [source] = await zfs.list({ dataset: datasetOf(to.name) });
  const cursors = source ? cursorsOf({ host, dataset: targetDataset }, source.bookmarks) : [];
  const received = cursors.find(({ guid }) => guid === to.guid);
  if (!source || !received) return;
  for (const old of cursors) if (isAfter(received, old)) await zfs.destroyBookmark(`${source.name}#${old.name}`);
}
