import type { BucketTrace } from '../jetstream/kv-bucket.ts';
import { settlesWithinMs } from './lease-state.ts';

/**
 * Why the key of a lock was free when the lock was taken, and how long its last holder may still act under it.
 *
 * A key that its holder released is free at once. One that expired is free too, since a lease ends before its key does. A key
 * that was taken away (a purge, a deletion by hand, a shorter time to live, a bucket that was lost, a clock of the server that was set
 * forward) has a holder who finds out at its next renewal, and until then no other host may act (I13).
 */
export type FoundKey =
  /** No entry, or the server's own note that one expired: the bucket has to show that none was taken away. */
  | { readonly kind: 'nothing' }
  /** A delete marker that names the holder's revision. */
  | { readonly kind: 'released' }
  /** Any other delete or purge marker; written so long ago, in milliseconds of the server's clock. */
  | { readonly kind: 'removed'; readonly age: number };

export interface Taking {
  readonly found: FoundKey;
  /** The bucket before the lock was written, without what this process wrote itself (`own-writes.ts`). */
  readonly before: BucketTrace;
  /** The bucket after it was written; undefined where that is unknown. */
  readonly after: BucketTrace | undefined;
  /** The revision that the lock got. */
  readonly revision: number;
  /** No other process wrote between `before` and the lock. */
  readonly unbroken: boolean;
  /** How far the server's clock was set forward lately, in milliseconds: so much less than it shows has gone by. */
  readonly setForward: number;
}

/** What a removed holder can have written last, in milliseconds of the server's clock; undefined where nothing shows it. */
function lastTrace({ before, after, revision, unbroken }: Taking): number | undefined {
  if (!after || before.now === undefined || before.created !== after.created) return undefined;
  const made = Date.parse(before.created);
  // a holder writes its lock again within `renewsWithinMs`, and the time of the last write outlives its entry
  const newest = before.lastRevision === 0 ? made : before.newest;
  const quiet = unbroken && newest !== undefined ? Math.max(made, newest) : undefined;
  // where the oldest go first, no entry was taken away that is newer than the oldest that is there; else one may be taken alone
  const isOlder = before.oldestGoFirst && after.oldestGoFirst && after.oldestRevision < revision;
  const outlived = isOlder ? after.oldest : undefined;
  const traces = [quiet, outlived].filter((at) => at !== undefined);
  return traces.length > 0 ? Math.min(...traces) : undefined;
}

/** How long from `before` on a lock that was taken gives no right to act, in milliseconds. */
export function settlingMs(taking: Taking): number {
  const { found, before, setForward } = taking;
  if (found.kind === 'released') return 0;
  const since = found.kind === 'removed' ? found.age : (before.now ?? 0) - (lastTrace(taking) ?? before.now ?? 0);
  return Math.min(settlesWithinMs, Math.max(0, settlesWithinMs - since + setForward));
}
