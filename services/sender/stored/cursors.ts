import type { Zfs } from '../../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { maxNameLength } from '../../../schemas/names.ts';
import type { Step } from '../../../schemas/plan.ts';
import type { Log } from '../../host/log.ts';
import { cursorForHold, targetHash } from '../cursor.ts';
import { type Cursors, isForGood } from '../cursors.ts';

/**
 * The cursors of what is stored: a bookmark of each snapshot, so that the next incremental has its base whatever the source destroys
 * meanwhile. They have the name of those that may be ahead of their target, and none of an older snapshot goes before the
 * target is seen to have a newer one.
 */
export function storedCursors(zfs: Pick<Zfs, 'bookmark'>, log: Log, host: string): Cursors {
  return {
    // what the target has it is not asked
    ensure: async () => [],
    chain() {
      let last: Pick<Step, 'to' | 'target'> | undefined;
      return {
        arrived({ to, target }) {
          last = { to, target };
        },
        doubt: mark,
        async settle() {
          const bare = last && (await mark(last));
          if (bare === undefined) last = undefined;
          return bare;
        },
      };
    },
  };

  async function mark({ to, target }: Pick<Step, 'to' | 'target'>): Promise<string | undefined> {
    const cursor = cursorForHold(to.name, targetHash({ host, dataset: target }), to.guid);
    try {
      if (cursor.length > maxNameLength) log.info(`${to.name} has no room for a cursor bookmark: its name is too long`);
      else await zfs.bookmark(to.name, cursor);
      return undefined;
    } catch (thrown) {
      const { code, message } = ZpsendError.from(thrown);
      log.warn(`cannot set the cursor bookmark of what is stored for ${target} on ${host}: ${code}: ${message}`);
      return isForGood.has(code) ? undefined : to.name;
    }
  }
}
