import { statusKey } from '../../../lib/bus/subjects.ts';
import type { ErrorBody } from '../../../schemas/errors.ts';
import { datasetOf } from '../../../schemas/names.ts';
import type { StatusEntry } from '../../../schemas/status.ts';
import type { StoredStart } from '../../../schemas/stored.ts';
import { shortened } from './dataset-status.ts';
import type { JobStatusDeps } from './job-status.ts';

/** A stream that waits, and why its target does not take it. */
export interface Held {
  readonly target: string;
  readonly start: Pick<StoredStart, 'to' | 'dataset'>;
  readonly error: ErrorBody;
}

/**
 * Makes the board say of every dataset of this source why its next stream is held, and of no other that it is. What a job is at, or has
 * failed with, stays: that is more than this.
 * @param board what it says now, by key
 * @param held all that is, in the order in which the streams wait
 */
export function reportBlocked(
  { host: source, status }: Pick<JobStatusDeps, 'host' | 'status'>,
  board: ReadonlyMap<string, StatusEntry>,
  held: readonly Held[],
): void {
  // the first of a dataset is what the others wait for
  const why = new Map(
    held.toReversed().map(({ target, start: { to, dataset: into }, error }) => {
      const place = { source, target, dataset: datasetOf(to.name), into };
      return [statusKey(place), shortened(error)];
    }),
  );
  const written = new Date().toISOString();
  for (const [key, { error, ...entry }] of board) {
    const now = why.get(key);
    // of what was done an error can be nothing else
    if (entry.run?.state !== 'done' || (error?.code === now?.code && error?.message === now?.message)) continue;
    status.put(key, () => ({ ...entry, ...(now && { error: now }), written }));
  }
}
