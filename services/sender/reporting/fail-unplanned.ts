import { parseStatusKey, type StatusPlace, statusKey } from '../../../lib/bus/subjects.ts';
import type { Clock } from '../../../lib/time/clock.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import type { ErrorBody } from '../../../schemas/errors.ts';
import { isWithin } from '../../../schemas/names.ts';
import { entryOf, next } from './dataset-status.ts';
import type { KnownRows } from './known-entries.ts';
import { lagFactsSince } from './lag.ts';
import type { StatusWriter } from './status-writer.ts';

/** A job that ended before there was a plan. */
export interface UnplannedJob {
  readonly job: string;
  readonly instance: string;
  readonly isRecursive: boolean;
  /** The dataset of the request, and its target. */
  readonly root: StatusPlace;
  /** Are its entries written though nothing was sent? */
  readonly isShown: boolean;
}

/**
 * Writes that the datasets of a job without a plan have failed. Known entries keep the rest of their status. If the entries could not be
 * read, the dataset of the request fails.
 */
export async function failUnplanned(
  {
    zfs,
    status,
    clock,
  }: { readonly zfs: Pick<Zfs, 'list'>; readonly status: StatusWriter; readonly clock: Pick<Clock, 'date'> },
  { job, instance, isRecursive, root, isShown }: UnplannedJob,
  { entries: known, isRead }: KnownRows,
  error: ErrorBody,
): Promise<void> {
  const isPart = ({ dataset, into }: StatusPlace): boolean =>
    isRecursive && isWithin(dataset, root.dataset) && isWithin(into, root.into);
  const keys = new Set([...(isShown || !isRead ? [statusKey(root)] : []), ...known.keys()]);
  const listed = clock.date();
  const here = await zfs.list({ dataset: root.dataset, recursive: isRecursive, creation: true }).catch(() => []);
  const sources = new Map(here.map((entry) => [entry.name, entry]));
  for (const key of keys) {
    const place = parseStatusKey(key);
    if (!place || (key !== statusKey(root) && !isPart(place))) continue;
    const source = sources.get(place.dataset);
    const before = known.get(key);
    // the lag is known only with the snapshots sent to the target
    const isKnown = source && (isRead || before);
    const noted = { stream: before?.stream, wrapping: before?.wrapping };
    const line = isKnown ? { facts: { ...lagFactsSince(source, before?.sent, listed), ...noted } } : {};
    const failed = next(line, { type: 'ended', bytes: 0, seconds: 0, error });
    // if the source cannot be listed either, only the old entry is known
    status.put(key, () => ({ ...(source ? {} : before), ...entryOf(failed, { job, instance }, clock.date()) }), true);
  }
}
