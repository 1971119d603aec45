import { setTimeout as sleep } from 'node:timers/promises';
import type { StreamsBucket } from '../../../lib/bus/channel/store/object-bucket.ts';
import { parseStoredName, storedName } from '../../../lib/bus/subjects.ts';
import type { Log } from '../../host/log.ts';

export interface GarbageCollectionDeps {
  readonly log: Log;
  /** Ids of the jobs of this host, whichever sender runs them; undefined where nobody can say. */
  readonly livingJobs: () => Promise<ReadonlySet<string> | undefined>;
  /** Is it the sender of a command, which may be over before it has looked twice? */
  readonly isBrief: boolean;
  /** A lasting sender takes a job for dead that it has missed in every look for so long; in milliseconds. */
  readonly missedMs?: number;
  /** A brief one, when nothing was stored for it for so long, and then it is missed twice, so far apart; in milliseconds. */
  readonly idleMs?: number;
  readonly askedAgainMs?: number;
}

/** Every so many looks also for what was begun and is not whole. */
const begunEvery = 3;
/** Pieces that are put at once are among the last of them. */
const lastPieces = 8;
const removedAtOnce = 8;

type Names = { readonly names: readonly string[]; readonly begun: readonly string[] };

/**
 * The pieces of streams that are not whole, in order, by the ids of their transfers.
 * @param begun names of objects that were begun, the whole ones among them
 * @param living ids of jobs, which transfers begin with
 */
export function orphansIn({ names, begun }: Names, living: ReadonlySet<string>): Map<string, string[]> {
  const pieces = new Map<string, string[]>();
  for (const name of [...new Set([...names, ...begun])].sort()) {
    const of = parseStoredName(name);
    if (of?.kind !== 'segment' && of?.kind !== 'manifest') continue;
    const known = pieces.get(of.id);
    if (known) known.push(name);
    else pieces.set(of.id, [name]);
  }
  const there = new Set(names);
  for (const id of pieces.keys()) {
    const isWhole = there.has(storedName({ kind: 'manifest', id }));
    if (isWhole || [...living].some((job) => id.startsWith(job))) pieces.delete(id);
  }
  return pieces;
}

/** Removes from a store what killed jobs have left there. @returns a look at the store, given the names of what is in it */
export function openGarbageCollection(deps: GarbageCollectionDeps) {
  const { log, livingJobs, isBrief, missedMs = 60_000, idleMs = 600_000, askedAgainMs = 1000 } = deps;
  /** Since when, in monotonic milliseconds, a job was missed in every look. */
  const missed = new Map<string, number>();
  /** Until when what is there of a job is too young. */
  const young = new Map<string, number>();
  /** What was begun when it was looked last. */
  let begun: readonly string[] = [];
  let looks = 0;
  /** Another list when anything has changed since. */
  let seen: readonly string[] | undefined;
  let isStale = true;

  async function missedForLong(found: Names): Promise<string[]> {
    const living = await livingJobs();
    if (!living) return [];
    const dead = orphansIn(found, living);
    for (const id of missed.keys()) if (!dead.has(id)) missed.delete(id);
    const now = performance.now();
    for (const id of dead.keys()) if (!missed.has(id)) missed.set(id, now);
    return [...dead.keys()].filter((id) => now - (missed.get(id) ?? now) >= missedMs);
  }

  /** One look may be all there is, so the store says for how long nobody has been at it. */
  async function idleForLong(bucket: StreamsBucket, loose: ReadonlyMap<string, string[]>): Promise<string[]> {
    for (const id of young.keys()) if (!loose.has(id)) young.delete(id);
    let old: string[] = [];
    for (const [id, pieces] of loose) {
      if (performance.now() < (young.get(id) ?? 0)) continue;
      const idle = await bucket.idle(pieces.slice(-lastPieces));
      if (idle === undefined) continue;
      young.set(id, performance.now() + idleMs - idle);
      if (idle >= idleMs) old.push(id);
    }
    // a sender that lists may not answer for seconds, or be connecting just now
    for (let asked = 0; old.length > 0 && asked < 2; asked++) {
      if (asked > 0) await sleep(askedAgainMs);
      const living = await livingJobs();
      if (!living) return [];
      old = old.filter((id) => ![...living].some((job) => id.startsWith(job)));
    }
    return old;
  }

  async function remove(bucket: StreamsBucket, ids: readonly string[], signal: AbortSignal): Promise<void> {
    if (ids.length === 0) return;
    // a job may have ended since
    const begunNow = await bucket.begun();
    const left = orphansIn({ names: await bucket.names(), begun: begunNow }, new Set());
    for (const id of ids) {
      const pieces = left.get(id) ?? [];
      if (pieces.length > 0)
        log.warn('store.garbage-removed', `removing from the store what a killed job has left of ${id}`);
      const segments = pieces.filter((name) => parseStoredName(name)?.kind === 'segment');
      // were its job alive all the same, it would see what it lacks before it makes it whole
      const going = segments.length > 0 ? segments : pieces;
      for (let at = 0; at < going.length; at += removedAtOnce) {
        if (signal.aborted) return;
        await Promise.all(going.slice(at, at + removedAtOnce).map((name) => bucket.remove(name)));
      }
    }
  }

  return async (bucket: StreamsBucket, names: readonly string[], signal: AbortSignal): Promise<void> => {
    if (names !== seen) isStale = true;
    seen = names;
    if (isStale && looks++ % begunEvery === 0) {
      begun = await bucket.begun();
      isStale = false;
    }
    const loose = orphansIn({ names, begun }, new Set());
    if (loose.size === 0) missed.clear();
    else await remove(bucket, await (isBrief ? idleForLong(bucket, loose) : missedForLong({ names, begun })), signal);
  };
}
