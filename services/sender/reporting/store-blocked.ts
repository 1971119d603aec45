import { statusKey } from '../../../lib/bus/subjects.ts';
import type { ErrorBody } from '../../../schemas/errors.ts';
import { datasetOf } from '../../../schemas/names.ts';
import type { StatusEntry } from '../../../schemas/status.ts';
import type { StoredStart } from '../../../schemas/stored.ts';
import { shortened } from './dataset-status.ts';
import type { JobStatusDeps } from './job-status.ts';

/** A stored stream that its target does not receive, and why. */
export interface BlockedStream {
  readonly target: string;
  readonly start: Pick<StoredStart, 'to' | 'targetDataset'>;
  readonly error: ErrorBody;
}

/**
 * Writes for every dataset of this source the error that blocks its next stored stream, and clears the others. The error of a running
 * or failed job stays: it is more recent.
 * @param entries the status as it is, by key
 * @param blocked all blocked streams, in the order in which they were stored
 */
export function reportBlocked(
  { host: source, status, clock }: Pick<JobStatusDeps, 'host' | 'status' | 'clock'>,
  entries: ReadonlyMap<string, StatusEntry>,
  blocked: readonly BlockedStream[],
): void {
  // the others of a dataset wait for its first
  const reasons = new Map(
    blocked.toReversed().map(({ target, start: { to, targetDataset: into }, error }) => {
      const place = { source, target, dataset: datasetOf(to.name), into };
      return [statusKey(place), shortened(error)];
    }),
  );
  const written = new Date(clock.date()).toISOString();
  for (const [key, { error, ...entry }] of entries) {
    const now = reasons.get(key);
    // the error of a dataset whose job is done can only be this one
    if (entry.run?.state !== 'done' || (error?.code === now?.code && error?.message === now?.message)) continue;
    status.put(key, () => ({ ...entry, ...(now && { error: now }), written }));
  }
}
