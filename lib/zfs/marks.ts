import { bookmarkArgv, destroyBookmarkArgv, holdArgv, releaseArgv } from './argv.ts';
import { batches, type Commands } from './commands.ts';
import { isMissing, onlyHeld, onlyMarked, onlyReleased, onlyUnmarked } from './errors.ts';

/** Holds and bookmarks. */
export interface Marks {
  /** Holds all in one process; a snapshot this tag holds already is no error. After a failure some may be held: release them. */
  hold(tag: string, snapshots: string[]): Promise<void>;
  /** Releases all in one process; a missing tag or snapshot is no error. `missing`: some snapshot is not there under its name. */
  release(tag: string, snapshots: string[]): Promise<{ missing: boolean }>;
  /**
   * Makes the bookmark `pool/a#zpsend_...` of a snapshot or of another bookmark; one of that name is no error. NOT_ALLOWED without the permission,
   * UNSUPPORTED where the pool lacks the feature, NO_SUCH_SNAPSHOT when the snapshot is gone.
   */
  bookmark(of: string, bookmark: string): Promise<void>;
  /** Destroys that one bookmark, which has to be zpsend's own; one that is not there is no error. */
  destroyBookmark(bookmark: string): Promise<void>;
}

/** Holds and bookmarks: what is already as it shall be is no error. */
export function marks({ runWithTimeout }: Commands): Marks {
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
