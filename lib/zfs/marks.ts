import { bookmarkArgv, destroyBookmarkArgv, holdArgv, releaseArgv } from './argv.ts';
import { batches, type Commands } from './commands.ts';
import { isMissing, onlyHeld, onlyMarked, onlyReleased, onlyUnmarked } from './errors.ts';
import type { Zfs } from './zfs.ts';

/** Holds and bookmarks: what is already as it shall be is no error. */
export function marks({ runWithTimeout }: Commands): Pick<Zfs, 'hold' | 'release' | 'bookmark' | 'destroyBookmark'> {
  return {
    async hold(tag, snapshots) {
      for (const some of batches(snapshots))
        await runWithTimeout(holdArgv(tag, some), `holding ${some.join(', ')}`, onlyHeld);
    },

    async release(tag, snapshots) {
      let missing = false;
      for (const some of batches(snapshots)) {
        const { stderr } = await runWithTimeout(releaseArgv(tag, some), `releasing ${some.join(', ')}`, onlyReleased);
        if (isMissing(stderr)) missing = true;
      }
      return { missing };
    },

    async bookmark(of, bookmark) {
      await runWithTimeout(bookmarkArgv(of, bookmark), `bookmarking ${of} as ${bookmark}`, onlyMarked);
    },

    async destroyBookmark(bookmark) {
      await runWithTimeout(destroyBookmarkArgv(bookmark), `removing the bookmark ${bookmark}`, onlyUnmarked);
    },
  };
}
