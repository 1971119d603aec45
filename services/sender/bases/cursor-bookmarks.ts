import type { Zfs } from '../../../lib/zfs/zfs.ts';
import { type Code, ZpsendError } from '../../../schemas/errors.ts';
import { datasetOf, maxNameLength } from '../../../schemas/names.ts';
import type { Step } from '../../../schemas/plan.ts';
import type { Log } from '../../host/log.ts';
import { type CursorTarget, cursorName, targetHash, tentativeCursorName } from './cursor-name.ts';

/** With this many old cursors one of them has to be removed before another is created. */
const mostOld = 16;

/**
 * Without permission for bookmarks, or in a pool without them, there are no cursors, and nothing protects a base between jobs.
 * A snapshot that is missing was renamed, and no later job to this target would find it.
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
  readonly targetHost: string;
}

/** The bookmarks that are the cursors of one job's datasets. */
export interface CursorBookmarks {
  /** Sets the cursors of a dataset and a target, by full name, from the job's first listing: oldest first. */
  listed(dataset: string, target: string, names: string[]): void;
  /** The listed cursors, and those created since. */
  known(dataset: string, target: string): readonly string[];
  /**
   * Creates a cursor, and then removes the old ones. @returns false if it may succeed at another time
   * @param base a snapshot, or another bookmark
   * @param isOvertaken a cursor of a later snapshot exists and stays, so this one is tentative
   */
  move(base: Step['to'], target: string, old: readonly string[], isOvertaken?: boolean): Promise<boolean>;
}

export function openCursorBookmarks({ zfs, log, targetHost }: CursorBookmarkDeps): CursorBookmarks {
  const known = new Map<string, string[]>();
  const logged = new Set<Code>();

  /** An error of one dataset mostly concerns all of a package: it is logged once. */
  function refused(what: string, thrown: unknown): void {
    const { code, message } = ZpsendError.from(thrown);
    const line = `${what}: ${code}: ${message}`;
    // the job itself reports a read-only pool
    if (logged.has(code) || code === 'READ_ONLY') log.debug('cursor.failed', line, { code });
    else log.warn('cursor.failed', `${line}. The job continues. send.bookmarks: false turns cursors off`, { code });
    logged.add(code);
  }

  async function move(base: Step['to'], target: string, old: readonly string[], isOvertaken = false): Promise<boolean> {
    // the feature is the pool's, and a package is in one pool
    if (logged.has('UNSUPPORTED')) return true;
    // the pool may be writable in the next job
    if (logged.has('READ_ONLY')) return false;
    const dataset = datasetOf(base.name);
    const key = keyOf(dataset, target);
    const cursor = cursorOf(base, { host: targetHost, dataset: target }, isOvertaken);
    if (cursor === undefined || cursor.length > maxNameLength) {
      log.info('cursor.name-too-long', `${dataset} gets no cursor bookmark: its name is too long`);
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
