import type { BucketTrace } from '../jetstream/kv-bucket.ts';

/** So many revisions of our own are remembered at most; without them a lock waits, which is the safe side. */
const mostKnown = 10_000;

/**
 * What this process wrote into the bucket of locks. It is no other holder to itself, so that its own writes do not make it wait: of a bucket that
 * only it writes to, it knows when another process did last.
 */
export interface OwnWrites {
  note(revision: number): void;
  /** Is every revision between the two, without both, our own? */
  coverBetween(after: number, before: number): boolean;
  /** The bucket as it would be without our own writes at its end: `newest` is when another process can have written last. */
  without(trace: BucketTrace): BucketTrace;
}

export function openOwnWrites(): OwnWrites {
  const own = new Set<number>();
  /** Written by another process, or before we came, and when that was at the latest. */
  let foreign: Pick<BucketTrace, 'created' | 'newest'> & { readonly revision: number } = {
    created: '',
    newest: undefined,
    revision: 0,
  };
  return {
    note(revision) {
      if (own.size >= mostKnown) own.clear();
      own.add(revision);
    },
    coverBetween(after, before) {
      for (let revision = after + 1; revision < before; revision += 1) if (!own.has(revision)) return false;
      return true;
    },
    without(trace) {
      const { created, newest, lastRevision } = trace;
      let revision = lastRevision;
      if (created === foreign.created) while (own.has(revision)) revision -= 1;
      else own.clear();
      // not later than the newest entry, whose time is known
      if (created !== foreign.created || revision !== foreign.revision) foreign = { created, newest, revision };
      return { ...trace, newest: revision === 0 ? Date.parse(created) : foreign.newest };
    },
  };
}
