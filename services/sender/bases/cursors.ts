import pLimit from 'p-limit';
import { type Base, leafOfBase, newestCommon } from '../../../lib/plan/inventory/bases.ts';
import { isAfter } from '../../../lib/plan/inventory/txg.ts';
import { isRefusal } from '../../../lib/plan/refusal.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import { type Code, ZpsendError } from '../../../schemas/errors.ts';
import type { DatasetEntry } from '../../../schemas/inventory.ts';
import { datasetOf, maxNameLength } from '../../../schemas/names.ts';
import type { Step } from '../../../schemas/plan.ts';
import type { Log } from '../../host/log.ts';
import type { Planned } from '../planning/plan-job.ts';
import {
  type CursorTarget,
  cursorName,
  cursorsOf,
  isTentative,
  targetHash,
  tentativeCursorName,
} from './cursor-name.ts';
import type { Settled } from './holds.ts';

/** While a chain goes on its cursor moves no more often, in milliseconds: a step is to stay at five processes. */
const everyMs = 30_000;
/** Missing cursors that a job makes at once before it begins. */
const atOnce = 4;
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

/** The cursor of one chain. */
export interface ChainCursor {
  /** A step's snapshot is on the target, as its newest. */
  arrived(step: Pick<Step, 'to' | 'target'>): void;
  /**
   * A step's snapshot may be on the target, and nobody has heard of it: gives it a bookmark beside the cursor, while it is held. The next
   * cursor takes its place.
   * @returns the snapshot, where that could not be done just now: its hold may be all that keeps the base
   */
  markTentative(step: Pick<Step, 'to' | 'target'>): Promise<string | undefined>;
  /**
   * Moves the cursor to what arrived last, while that is still held. Never fails: without a cursor the job is as good.
   * @param goesOn another step follows at once, so the cursor moves only when it has not for a while
   * @returns the snapshot that arrived last, where its cursor could not be set just now: its hold is all that keeps the base
   */
  settle(goesOn: boolean): Promise<string | undefined>;
}

/** The cursors of one job. */
export interface Cursors {
  /**
   * Gives every dataset its cursor that lacks one: what a killed job has not come to, while the holds that it left still
   * protect the snapshot. Costs nothing where all are there, since the listing shows them.
   * @returns those that need no such hold any more of what both have: the cursor is there, or there can be none
   */
  ensure(planned: Planned): Promise<readonly Settled[]>;
  chain(): ChainCursor;
}

/** What a job does where cursors are not wanted. */
export const noCursors: Cursors = {
  ensure: async ({ plans }) => (isRefusal(plans) ? [] : plans.datasets),
  chain: () => ({ arrived: () => {}, markTentative: async () => undefined, settle: async () => undefined }),
};

export interface CursorDeps {
  readonly zfs: Pick<Zfs, 'bookmark' | 'destroyBookmark' | 'look'>;
  readonly log: Log;
  /** The host that receives. */
  readonly to: string;
  /** Aborted when the job is: what has not begun by then is left to the next run. */
  readonly signal: AbortSignal;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

export function openCursors(deps: CursorDeps): Cursors {
  const { zfs, log, to, signal } = deps;
  const now = deps.now ?? (() => performance.now());
  /** Cursors of each dataset and target as the job's first listing shows them, oldest first, and what was made since. */
  const known = new Map<string, string[]>();
  const said = new Set<Code>();
  const keyOf = (dataset: string, target: string): string => `${dataset}\n${target}`;

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

  /**
   * A new one first, and then the old ones go. False: there is none now, and may be at another time.
   * @param base a snapshot, or a bookmark of somebody else's
   * @param isOvertaken a cursor of a later snapshot is there, and stays: this one has the name of those that are never old
   */
  async function move(base: Step['to'], target: string, old: readonly string[], isOvertaken = false): Promise<boolean> {
    // a pool has the feature or has not, and a package lies in one
    if (said.has('UNSUPPORTED')) return true;
    // not for good: its next job may find it writable
    if (said.has('READ_ONLY')) return false;
    const dataset = datasetOf(base.name);
    const key = keyOf(dataset, target);
    const place: CursorTarget = { host: to, dataset: target };
    const cursor = isOvertaken
      ? tentativeCursorName(base.name, targetHash(place), base.guid)
      : cursorName(dataset, place, base.guid);
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
      log.debug('cursor.set', `${cursor} is the cursor of ${target} on ${to}`);
    } catch (error) {
      refused(`cannot set the cursor bookmark of ${target} on ${to}`, error);
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

  async function ensureOne(source: DatasetEntry, target: DatasetEntry, common: Base): Promise<boolean> {
    const place: CursorTarget = { host: to, dataset: target.name };
    const there = cursorsOf(place, source.bookmarks);
    const old = there.filter((bookmark) => isAfter(common, bookmark));
    const isThere = there.some(({ guid }) => guid === common.guid);
    // one of a later snapshot was set after this listing of the target was made, or the target has gone back since
    const isOvertaken = there.some((bookmark) => isAfter(bookmark, common));
    const isSafe =
      isThere && (!isOvertaken || there.some(({ name, guid }) => guid === common.guid && isTentative(name)));
    if (isSafe && (old.length === 0 || common.kind === 'bookmark')) return true;
    return move(
      { name: `${source.name}${leafOfBase(common)}`, guid: common.guid },
      target.name,
      old.map(({ name }) => `${source.name}#${name}`),
      isOvertaken,
    );
  }

  return {
    async ensure({ plans, source, target }) {
      if (isRefusal(plans)) return [];
      const settled: Settled[] = [];
      const sources = new Map(source.datasets.map((entry) => [entry.name, entry]));
      const targets = new Map(target.datasets.map((entry) => [entry.name, entry]));
      await pLimit(atOnce).map(plans.datasets, async (plan) => {
        const from = sources.get(plan.dataset);
        const there = targets.get(plan.target);
        if (!from) return;
        const cursors = cursorsOf({ host: to, dataset: plan.target }, from.bookmarks);
        known.set(
          keyOf(plan.dataset, plan.target),
          cursors.map(({ name }) => `${from.name}#${name}`),
        );
        if (signal.aborted) return;
        const common = there && newestCommon(from, there);
        if (!there || !common || (await ensureOne(from, there, common))) settled.push({ ...plan, common });
      });
      return settled;
    },

    chain() {
      let last: Pick<Step, 'to' | 'target'> | undefined;
      let movedAt = now();
      return {
        arrived({ to, target }) {
          last = { to, target };
        },
        async markTentative({ to: snapshot, target }) {
          const [there] = await zfs.look([snapshot.name]).catch(() => []);
          // another one under its name: the bookmark would be of that
          if (there && there.guid !== snapshot.guid) return undefined;
          return (await move(snapshot, target, [], true)) ? undefined : snapshot.name;
        },
        async settle(goesOn) {
          if (!last || (goesOn && now() - movedAt < everyMs)) return undefined;
          const { to: snapshot, target } = last;
          // whatever stood before our own receive began is not what the target has now
          const moved = await move(snapshot, target, known.get(keyOf(datasetOf(snapshot.name), target)) ?? []);
          movedAt = now();
          if (!moved) return snapshot.name;
          last = undefined;
          return undefined;
        },
      };
    },
  };
}
