import pLimit from 'p-limit';
import { type Base, leafOfBase, newestCommon } from '../../../lib/plan/inventory/bases.ts';
import { isAfter } from '../../../lib/plan/inventory/txg.ts';
import { isRefusal } from '../../../lib/plan/refusal.ts';
import type { Clock } from '../../../lib/time/clock.ts';
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

/** The cursor of one chain's target. */
export interface ChainCursor {
  /** A step's snapshot has arrived, and is the target's newest. */
  arrived(step: Pick<Step, 'to' | 'targetDataset'>): void;
  /**
   * A step's snapshot may have arrived without a confirmation: gives it a tentative cursor, while it is held. The next cursor
   * replaces it.
   * @returns the snapshot, if it has no cursor yet: only its hold keeps the base
   */
  markTentative(step: Pick<Step, 'to' | 'targetDataset'>): Promise<string | undefined>;
  /**
   * Moves the cursor to the snapshot that arrived last, while it is still held. Never fails: the job works without cursors.
   * @param goesOn another step follows at once, so the cursor moves only from time to time
   * @returns the snapshot that arrived last, if it has no cursor yet: only its hold keeps the base
   */
  settle(goesOn: boolean): Promise<string | undefined>;
}

/** The cursors of one job. */
export interface Cursors {
  /**
   * Creates the cursors that a killed job has not created, while its holds still protect the snapshots. Costs nothing if all of
   * them exist, since the listing shows them.
   * @returns datasets that no longer need those holds: the cursor exists, or there can be none
   */
  ensure(planned: Planned): Promise<readonly Settled[]>;
  chain(): ChainCursor;
}

/** For a job without cursors. */
export const noCursors: Cursors = {
  ensure: async ({ plans }) => (isRefusal(plans) ? [] : plans.datasets),
  chain: () => ({ arrived: () => {}, markTentative: async () => undefined, settle: async () => undefined }),
};

export interface CursorDeps extends CursorBookmarkDeps {
  readonly zfs: Pick<Zfs, 'bookmark' | 'destroyBookmark' | 'inspect'>;
  /** Aborted with the job: commands that have not started by then are left to the next job. */
  readonly signal: AbortSignal;
  readonly clock: Pick<Clock, 'now'>;
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

/** Creates the cursor of the newest common snapshot, unless it exists. @returns as `move` does */
async function ensureOne(
  { move }: CursorBookmarks,
  place: CursorTarget,
  source: DatasetEntry,
  common: Base,
): Promise<boolean> {
  const there = cursorsOf(place, source.bookmarks);
  const old = there.filter((bookmark) => isAfter(common, bookmark));
  const isThere = there.some(({ guid }) => guid === common.guid);
  // a cursor of a later snapshot was set after this listing of the target, or the target was rolled back since
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
  const { zfs, clock } = deps;
  let last: Pick<Step, 'to' | 'targetDataset'> | undefined;
  let movedAt = clock.now();
  return {
    arrived({ to, targetDataset }) {
      last = { to, targetDataset };
    },
    async markTentative({ to: snapshot, targetDataset }) {
      const [there] = await zfs.inspect([snapshot.name]).catch(() => []);
      // another snapshot has that name: the bookmark would be of that one
      if (there && there.guid !== snapshot.guid) return undefined;
      return (await bookmarks.move(snapshot, targetDataset, [], true)) ? undefined : snapshot.name;
    },
    async settle(goesOn) {
      if (!last || (goesOn && clock.now() - movedAt < timing.job.cursorMs)) return undefined;
      const { to: snapshot, targetDataset } = last;
      // the target has a newer snapshot than those of the known cursors
      const moved = await bookmarks.move(
        snapshot,
        targetDataset,
        bookmarks.known(datasetOf(snapshot.name), targetDataset),
      );
      movedAt = clock.now();
      if (!moved) return snapshot.name;
      last = undefined;
      return undefined;
    },
  };
}
