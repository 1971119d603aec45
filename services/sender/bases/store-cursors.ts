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
 * The cursors of what is stored: a bookmark of each snapshot, so that the next incremental has its base whatever the source destroys
 * meanwhile. They have the name of those that may be ahead of their target, and none of an older snapshot goes before the
 * target is seen to have a newer one.
 */
export function storedCursors(zfs: Pick<Zfs, 'bookmark'>, log: Log, host: string): Cursors {
  return {
    // what the target has it is not asked: whatever a killed job held may be its base, or that of what waits for it
    ensure: async ({ plans }) => (isRefusal(plans) ? [] : plans.datasets),
    chain() {
      let last: Pick<Step, 'to' | 'targetDataset'> | undefined;
      return {
        arrived({ to, targetDataset }) {
          last = { to, targetDataset };
        },
        markTentative: mark,
        async settle() {
          const bare = last && (await mark(last));
          if (bare === undefined) last = undefined;
          return bare;
        },
      };
    },
  };

  /** @returns the snapshot, where it could not be done just now */
  async function mark({ to, targetDataset }: Pick<Step, 'to' | 'targetDataset'>): Promise<string | undefined> {
    const cursor = tentativeCursorName(to.name, targetHash({ host, dataset: targetDataset }), to.guid);
    try {
      if (cursor.length > maxNameLength)
        log.info('cursor.name-too-long', `${to.name} has no room for a cursor bookmark: its name is too long`);
      else await zfs.bookmark(to.name, cursor);
      return undefined;
    } catch (thrown) {
      const { code, message } = ZpsendError.from(thrown);
      const line = `cannot set the cursor bookmark of what is stored for ${targetDataset} on ${host}: ${code}: ${message}`;
      // of a read-only pool the job tells by itself
      if (code === 'READ_ONLY') log.debug('cursor.failed', line, { code });
      else log.warn('cursor.failed', line, { code });
      return isForGood.has(code) ? undefined : to.name;
    }
  }
}

/**
 * Removes what stood for older snapshots, once a target was seen to have taken one from the store: those of what still waits for it
 * are newer. Without a bookmark of what it has taken, the older ones stay.
 * @throws ZpsendError what ZFS said
 */
export async function removeOvertaken(
  zfs: Pick<Zfs, 'list' | 'destroyBookmark'>,
  host: string,
  { to, dataset }: Pick<StoredStart, 'to' | 'dataset'>,
): Promise<void> {
  const [source] = await zfs.list({ dataset: datasetOf(to.name) });
  const cursors = source ? cursorsOf({ host, dataset }, source.bookmarks) : [];
  const taken = cursors.find(({ guid }) => guid === to.guid);
  if (!source || !taken) return;
  for (const old of cursors) if (isAfter(taken, old)) await zfs.destroyBookmark(`${source.name}#${old.name}`);
}
