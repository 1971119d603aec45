import { bookmarkArgv, destroyBookmarkArgv, holdArgv, releaseArgv } from './argv.ts';
import { batches, type Commands } from './commands.ts';
import { isMissing, onlyBookmarkExists, onlyNoBookmark, onlyNotHeld, onlyTagExists } from './errors.ts';

/** Holds and bookmarks. A mark that already exists, or that is already removed, is no error. */
export interface Marks {
  /** Holds all snapshots in one process. After a failure some may be held: the caller releases them. */
  hold(tag: string, snapshots: string[]): Promise<void>;
  /** Releases all snapshots in one process. @returns `missing`: some snapshot does not exist under its name */
  release(tag: string, snapshots: string[]): Promise<{ missing: boolean }>;
  /**
   * Creates the bookmark `pool/a#zpsend_...` of a snapshot or of another bookmark.
   * @throws ZpsendError NOT_ALLOWED without the permission, UNSUPPORTED if the pool lacks the feature, NO_SUCH_SNAPSHOT
   */
  bookmark(of: string, bookmark: string): Promise<void>;
  /** Destroys one of zpsend's own bookmarks. @throws ZpsendError BAD_REQUEST for any other bookmark */
  destroyBookmark(bookmark: string): Promise<void>;
}

export function marks({ runWithTimeout }: Commands): Marks {
  return {
    async hold(tag, snapshots) {
      for (const some of batches(snapshots))
        await runWithTimeout(holdArgv(tag, some), `holding ${some.join(', ')}`, onlyTagExists);
    },

    async release(tag, snapshots) {
      let missing = false;
      for (const some of batches(snapshots)) {
        const { stderr } = await runWithTimeout(releaseArgv(tag, some), `releasing ${some.join(', ')}`, onlyNotHeld);
        if (isMissing(stderr)) missing = true;
      }
      return { missing };
    },

    async bookmark(of, bookmark) {
      await runWithTimeout(bookmarkArgv(of, bookmark), `bookmarking ${of} as ${bookmark}`, onlyBookmarkExists);
    },

    async destroyBookmark(bookmark) {
      await runWithTimeout(destroyBookmarkArgv(bookmark), `destroying the bookmark ${bookmark}`, onlyNoBookmark);
    },
  };
}
