import { parseStatusKey, type StatusPlace, statusKey } from '../../../lib/bus/subjects.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import type { ErrorBody } from '../../../schemas/errors.ts';
import { isWithin } from '../../../schemas/names.ts';
import type { SendRequest } from '../../../schemas/plan.ts';
import { entryOf, next } from './dataset-status.ts';
import type { KnownRows } from './known-entries.ts';
import { lagFactsSince } from './lag.ts';
import type { StatusWriter } from './status-writer.ts';

/** A job that ended before there was a plan. */
export interface UnplannedJob {
  readonly job: string;
  readonly instance: string;
  readonly request: SendRequest;
  /** The dataset that is asked for, and its target. */
  readonly root: StatusPlace;
  /** Its rows are on the board whether anything was sent or not. */
  readonly isShown: boolean;
}

/**
 * Writes that the datasets of a job without a plan have failed: those that are known keep what is known of them. Where nobody knows,
 * the one that was asked for fails.
 */
export async function failUnplanned(
  { zfs, status }: { readonly zfs: Pick<Zfs, 'list'>; readonly status: StatusWriter },
  { job, instance, request, root, isShown }: UnplannedJob,
  { entries: known, isRead }: KnownRows,
  error: ErrorBody,
): Promise<void> {
  const isPart = ({ dataset, into }: StatusPlace): boolean =>
    request.package !== undefined && isWithin(dataset, root.dataset) && isWithin(into, root.into);
  const keys = new Set([...(isShown || !isRead ? [statusKey(root)] : []), ...known.keys()]);
  const listed = Date.now();
  const here = await zfs
    .list({ dataset: root.dataset, recursive: request.package !== undefined, creation: true })
    .catch(() => []);
  const sources = new Map(here.map((entry) => [entry.name, entry]));
  for (const key of keys) {
    const place = parseStatusKey(key);
    if (!place || (key !== statusKey(root) && !isPart(place))) continue;
    const source = sources.get(place.dataset);
    const before = known.get(key);
    // how far the target lags shows only against what it was sent
    const isKnown = source && (isRead || before);
    const noted = { stream: before?.stream, wrapping: before?.wrapping };
    const line = isKnown ? { facts: { ...lagFactsSince(source, before?.sent, listed), ...noted } } : {};
    const failed = next(line, { type: 'ended', bytes: 0, seconds: 0, error });
    // where the source cannot be listed either, what was stored is all that is known
    status.put(key, () => ({ ...(source ? {} : before), ...entryOf(failed, { job, instance }, Date.now()) }), true);
  }
}
