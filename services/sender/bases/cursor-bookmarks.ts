import type { Zfs } from '../../../lib/zfs/zfs.ts';
import { type Code, ZpsendError } from '../../../schemas/errors.ts';
import { datasetOf, maxNameLength } from '../../../schemas/names.ts';
import type { Step } from '../../../schemas/plan.ts';
import type { Log } from '../../host/log.ts';
import { type CursorTarget, cursorName, targetHash, tentativeCursorName } from './cursor-name.ts';

/** With so many old ones it has to show that they can be removed, before another is made. */
const mostOld = 16;

/**
 * Who may not set bookmarks, or has a pool without them, does without cursors: nothing protects a base between jobs then. And what
 * is not there under its name was renamed, which no later job to this target would find.
 */
export const isForGood: ReadonlySet<Code> = new Set([
  'NOT_ALLOWED',
  'UNSUPPORTED',
  'NO_SUCH_SNAPSHOT',
  'NO_SUCH_DATASET',
]);

export interface CursorBookmarkDeps {
  readonly zfs: Pick<Zfs, 'bookmark' | 'destroyBookmark'>;
  readonly log: Log;
  /** The host that receives. */
  readonly targetHost: string;
}

/** The bookmarks that are the cursors of one job's datasets. */
export interface CursorBookmarks {
  /** Those of a dataset and a target, by full name, as the job's first listing shows them: oldest first. */
  listed(dataset: string, target: string, names: string[]): void;
  /** Those that were listed, and what was made since. */
  known(dataset: string, target: string): readonly string[];
  /**
   * A new one first, and then the old ones go. False: there is none now, and may be at another time.
   * @param base a snapshot, or a bookmark of somebody else's
   * @param isOvertaken a cursor of a later snapshot is there, and stays: this one has the name of those that are never old
   */
  move(base: Step['to'], target: string, old: readonly string[], isOvertaken?: boolean): Promise<boolean>;
}

export function openCursorBookmarks({ zfs, log, targetHost }: CursorBookmarkDeps): CursorBookmarks {
  const known = new Map<string, string[]>();
  const said = new Set<Code>();

  /** What is the matter with one dataset is with most of a package: it is said once. */
  function refused(what: string, thrown: unknown): void {
    const { code, message } = ZpsendError.from(thrown);
    const line = `${what}: ${code}: ${message}`;
    // of a read-only pool the job tells by itself, as soon as it sends something
    if (said.has(code) || code === 'READ_ONLY') log.debug('cursor.failed', line, { code });
    else
      log.warn('cursor.failed', `${line}. The job goes on; send.bookmarks: false is the way to do without`, { code });
    said.add(code);
  }

  async function move(base: Step['to'], target: string, old: readonly string[], isOvertaken = false): Promise<boolean> {
    // a pool has the feature or has not, and a package lies in one
    if (said.has('UNSUPPORTED')) return true;
    // not for good: its next job may find it writable
    if (said.has('READ_ONLY')) return false;
    const dataset = datasetOf(base.name);
    const key = keyOf(dataset, target);
    const cursor = cursorOf(base, { host: targetHost, dataset: target }, isOvertaken);
    if (cursor === undefined || cursor.length > maxNameLength) {
      log.info('cursor.name-too-long', `${dataset} has no room for a cursor bookmark: its name is too long`);
      return true;
    }
    const [oldest] = old;
    const left = new Set(known.get(key));
    try {
      if (oldest !== undefined && old.length >= mostOld) {
        await zfs.destroyBookmark(oldest);
        left.delete(oldest);
      }
      await zfs.bookmark(base.name, cursor);
      left.add(cursor);
      log.debug('cursor.set', `${cursor} is the cursor of ${target} on ${targetHost}`);
    } catch (error) {
      refused(`cannot set the cursor bookmark of ${target} on ${targetHost}`, error);
      return isForGood.has(ZpsendError.from(error).code);
    } finally {
      known.set(key, [...left]);
    }
    for (const name of old.filter((name) => name !== cursor && left.has(name))) {
      try {
        await zfs.destroyBookmark(name);
        left.delete(name);
      } catch (error) {
        refused(`cannot remove the old cursor bookmark ${name}`, error);
      }
    }
    known.set(key, [...left]);
    return true;
  }

  return {
    listed: (dataset, target, names) => void known.set(keyOf(dataset, target), names),
    known: (dataset, target) => known.get(keyOf(dataset, target)) ?? [],
    move,
  };
}

const keyOf = (dataset: string, target: string): string => `${dataset}\n${target}`;

const cursorOf = (base: Step['to'], place: CursorTarget, isOvertaken: boolean): string | undefined =>
  isOvertaken
    ? tentativeCursorName(base.name, targetHash(place), base.guid)
    : cursorName(datasetOf(base.name), place, base.guid);
