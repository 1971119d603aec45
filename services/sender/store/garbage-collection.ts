import {
  deleteStored,
  incompleteIn,
  listStore,
  type StoreListing,
} from '../../../lib/bus/channel/store/delete-stream.ts';
import type { StreamsBucket } from '../../../lib/bus/channel/store/object-bucket.ts';
import type { Clock } from '../../../lib/time/clock.ts';
import { timing } from '../../../lib/time/timing.ts';
import type { Log } from '../../host/log.ts';

export interface GarbageCollectionDeps {
  readonly log: Log;
  readonly clock: Pick<Clock, 'now' | 'sleep'>;
  /** Ids of the jobs of this host, of all its senders; undefined if that is unknown. */
  readonly livingJobs: () => Promise<ReadonlySet<string> | undefined>;
  /** Is it the sender of a command, which may end after one round? */
  readonly isBrief: boolean;
  readonly times?: typeof timing.garbageCollection;
}

/** In every third round incomplete objects are listed too. */
const withChunksEvery = 3;
/** Pieces that are put at once are among the last of them. */
const lastPieces = 8;

/**
 * The pieces of incomplete streams whose jobs are not alive, in order, by the ids of their transfers.
 * @param living ids of jobs, which the ids of their transfers begin with
 */
export function orphansIn(listing: StoreListing, living: ReadonlySet<string>): Map<string, string[]> {
  const pieces = incompleteIn(listing);
  for (const id of pieces.keys()) if (isOfJob(id, living)) pieces.delete(id);
  return pieces;
}

const isOfJob = (id: string, jobs: ReadonlySet<string>): boolean => [...jobs].some((job) => id.startsWith(job));

/** Deletes the orphans of dead jobs from a store. @returns one round of it, given the names of all objects */
export function openGarbageCollection(deps: GarbageCollectionDeps) {
  const { log, isBrief } = deps;
  const deadFor = isBrief ? openIdleJobs(deps) : openMissedJobs(deps);
  /** As it was listed last. */
  let withChunks: readonly string[] = [];
  let rounds = 0;
  /** Another list where anything has changed since. */
  let seen: readonly string[] | undefined;
  let isStale = true;

  async function remove(bucket: StreamsBucket, ids: readonly string[], signal: AbortSignal): Promise<void> {
    if (ids.length === 0) return;
    // a job may have ended since
    const left = incompleteIn(await listStore(bucket));
    for (const id of ids) {
      const pieces = left.get(id) ?? [];
      if (pieces.length > 0)
        log.warn('store.garbage-removed', `deleting from the store the incomplete stream ${id} of a dead job`);
      const isComplete = !left.has(id);
      if (!(await deleteStored(bucket, { reason: 'abandoned', isComplete, pieces }, signal))) return;
    }
  }

  return async (bucket: StreamsBucket, names: readonly string[], signal: AbortSignal): Promise<void> => {
    if (names !== seen) isStale = true;
    seen = names;
    if (isStale && rounds++ % withChunksEvery === 0) {
      withChunks = await bucket.withChunks();
      isStale = false;
    }
    await remove(bucket, await deadFor(bucket, { names, withChunks }), signal);
  };
}

/** @returns the ids of incomplete streams whose job is dead */
type DeadJobs = (bucket: StreamsBucket, listing: StoreListing) => Promise<string[]>;

/** For a sender service a job is dead when it was missing in every round for `missedMs`. */
function openMissedJobs({ livingJobs, clock, times = timing.garbageCollection }: GarbageCollectionDeps): DeadJobs {
  /** Since when, in monotonic milliseconds, a job is missing in every round. */
  const missed = new Map<string, number>();
  return async (_, listing) => {
    if (incompleteIn(listing).size === 0) {
      missed.clear();
      return [];
    }
    const living = await livingJobs();
    if (!living) return [];
    const dead = orphansIn(listing, living);
    for (const id of missed.keys()) if (!dead.has(id)) missed.delete(id);
    const now = clock.now();
    for (const id of dead.keys()) if (!missed.has(id)) missed.set(id, now);
    return [...dead.keys()].filter((id) => now - (missed.get(id) ?? now) >= times.missedMs);
  };
}

/**
 * For the sender of a command a job is dead if nothing was stored for it for `idleMs`, and two queries `askedAgainMs` after each other miss it.
 * There may be one round only, so the time of the last byte in the store counts.
 */
function openIdleJobs({ livingJobs, clock, times = timing.garbageCollection }: GarbageCollectionDeps): DeadJobs {
  const { idleMs, askedAgainMs } = times;
  /** Until when, in monotonic milliseconds, the pieces of a job are too young. */
  const young = new Map<string, number>();
  return async (bucket, listing) => {
    const incomplete = incompleteIn(listing);
    for (const id of young.keys()) if (!incomplete.has(id)) young.delete(id);
    let old: string[] = [];
    for (const [id, pieces] of incomplete) {
      if (clock.now() < (young.get(id) ?? 0)) continue;
      const idle = await bucket.idle(pieces.slice(-lastPieces));
      if (idle === undefined) continue;
      young.set(id, clock.now() + idleMs - idle);
      if (idle >= idleMs) old.push(id);
    }
    // a sender that lists may not answer for seconds, or may just be connecting
    for (let asked = 0; old.length > 0 && asked < 2; asked++) {
      if (asked > 0) await clock.sleep(askedAgainMs);
      const living = await livingJobs();
      if (!living) return [];
      old = old.filter((id) => !isOfJob(id, living));
    }
    return old;
  };
}
