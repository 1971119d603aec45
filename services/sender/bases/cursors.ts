import pLimit from 'p-limit';
import { type Base, leafOfBase, newestCommon } from '../../../lib/plan/inventory/bases.ts';
import { isAfter } from '../../../lib/plan/inventory/txg.ts';
import { isRefusal } from '../../../lib/plan/refusal.ts';
import { timing } from '../../../lib/time/timing.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import type { DatasetEntry } from '../../../schemas/inventory.ts';
import { datasetOf } from '../../../schemas/names.ts';
import type { Step } from '../../../schemas/plan.ts';
import type { Planned } from '../planning/plan-job.ts';
import { type CursorBookmarkDeps, type CursorBookmarks, openCursorBookmarks } from './cursor-bookmarks.ts';
import { type CursorTarget, cursorsOf, isTentative } from './cursor-name.ts';
import type { Settled } from './holds.ts';

/** Missing cursors that a job makes at once before it begins. */
const atOnce = 4;

/** The cursor of one chain. */
export interface ChainCursor {
  /** A step's snapshot is on the target, as its newest. */
  arrived(step: Pick<Step, 'to' | 'targetDataset'>): void;
  /**
   * A step's snapshot may be on the target, and nobody has heard of it: gives it a bookmark beside the cursor, while it is held. The next
   * cursor takes its place.
   * @returns the snapshot, where that could not be done just now: its hold may be all that keeps the base
   */
  markTentative(step: Pick<Step, 'to' | 'targetDataset'>): Promise<string | undefined>;
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

export interface CursorDeps extends CursorBookmarkDeps {
  readonly zfs: Pick<Zfs, 'bookmark' | 'destroyBookmark' | 'inspect'>;
  /** Aborted when the job is: what has not begun by then is left to the next run. */
  readonly signal: AbortSignal;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

export function openCursors(deps: CursorDeps): Cursors {
  const { targetHost, signal } = deps;
  const bookmarks = openCursorBookmarks(deps);
  return {
    async ensure({ plans, source, target }) {
      if (isRefusal(plans)) return [];
      const settled: Settled[] = [];
      const sources = new Map(source.datasets.map((entry) => [entry.name, entry]));
      const targets = new Map(target.datasets.map((entry) => [entry.name, entry]));
      await pLimit(atOnce).map(plans.datasets, async (plan) => {
        const from = sources.get(plan.sourceDataset);
        const there = targets.get(plan.targetDataset);
        if (!from) return;
        const place: CursorTarget = { host: targetHost, dataset: plan.targetDataset };
        const names = cursorsOf(place, from.bookmarks).map(({ name }) => `${from.name}#${name}`);
        bookmarks.listed(plan.sourceDataset, plan.targetDataset, names);
        if (signal.aborted) return;
        const common = there && newestCommon(from, there);
        if (!there || !common || (await ensureOne(bookmarks, place, from, common))) settled.push({ ...plan, common });
      });
      return settled;
    },
    chain: () => chainCursor(deps, bookmarks),
  };
}

/** Gives a dataset the cursor of what it and its target have in common, unless that is there. False as `move` says it. */
async function ensureOne(
  { move }: CursorBookmarks,
  place: CursorTarget,
  source: DatasetEntry,
  common: Base,
): Promise<boolean> {
  const there = cursorsOf(place, source.bookmarks);
  const old = there.filter((bookmark) => isAfter(common, bookmark));
  const isThere = there.some(({ guid }) => guid === common.guid);
  // one of a later snapshot was set after this listing of the target was made, or the target has gone back since
  const isOvertaken = there.some((bookmark) => isAfter(bookmark, common));
  const isSafe = isThere && (!isOvertaken || there.some(({ name, guid }) => guid === common.guid && isTentative(name)));
  if (isSafe && (old.length === 0 || common.kind === 'bookmark')) return true;
  return move(
    { name: `${source.name}${leafOfBase(common)}`, guid: common.guid },
    place.dataset,
    old.map(({ name }) => `${source.name}#${name}`),
    isOvertaken,
  );
}

function chainCursor(deps: CursorDeps, bookmarks: CursorBookmarks): ChainCursor {
  const { zfs, now = () => performance.now() } = deps;
  let last: Pick<Step, 'to' | 'targetDataset'> | undefined;
  let movedAt = now();
  return {
    arrived({ to, targetDataset }) {
      last = { to, targetDataset };
    },
    async markTentative({ to: snapshot, targetDataset }) {
      const [there] = await zfs.inspect([snapshot.name]).catch(() => []);
      // another one under its name: the bookmark would be of that
      if (there && there.guid !== snapshot.guid) return undefined;
      return (await bookmarks.move(snapshot, targetDataset, [], true)) ? undefined : snapshot.name;
    },
    async settle(goesOn) {
      if (!last || (goesOn && now() - movedAt < timing.job.cursorMs)) return undefined;
      const { to: snapshot, targetDataset } = last;
      // whatever stood before our own receive began is not what the target has now
      const moved = await bookmarks.move(
        snapshot,
        targetDataset,
        bookmarks.known(datasetOf(snapshot.name), targetDataset),
      );
      movedAt = now();
      if (!moved) return snapshot.name;
      last = undefined;
      return undefined;
    },
  };
}
