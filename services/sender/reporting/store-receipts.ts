import { statusKey } from '../../../lib/bus/subjects.ts';
import { datasetOf, leafOf } from '../../../schemas/names.ts';
import type { StatusEntry } from '../../../schemas/status.ts';
import type { Receipt, StoredStart } from '../../../schemas/stored.ts';
import { lagged, shortened } from './dataset-status.ts';
import type { JobStatusDeps } from './job-status.ts';
import { knownEntries, pendingEntries } from './known-entries.ts';
import { lagFactsSince, storedUpTo } from './lag.ts';

/**
 * Tells on the board what became of a stored stream at its target. A dataset that has no line, or is not here any more, is not told of.
 * @throws ZpsendError what a listing failed with
 */
export async function reportDelivered(
  { host, bus, zfs, status }: Pick<JobStatusDeps, 'host' | 'bus' | 'zfs' | 'status'>,
  target: string,
  { from, to, dataset: into }: Pick<StoredStart, 'from' | 'to' | 'dataset'>,
  { state, error }: Receipt,
): Promise<void> {
  const dataset = datasetOf(to.name);
  const key = statusKey({ source: host, target, dataset, into });
  const deps = { host, bus, status };
  const before = new Map(pendingEntries(deps, target)).get(key) ?? (await knownEntries(deps, target)).get(key);
  if (!before) return;
  const [source] = await zfs.list({ dataset, creation: true });
  if (!source) return;
  const all = [...source.snapshots, ...source.bookmarks];
  const [was, is] = [before.sent?.guid, to.guid].map((guid) => all.find((one) => one.guid === guid));
  // it was stored long ago, and more has arrived since by another way
  if (was && is && BigInt(was.createtxg) > BigInt(is.createtxg)) return;
  const now = Date.now();
  const { stored, ...others } = before;
  if (state !== 'done') {
    const run = before.run && { run: { ...before.run, state: 'failed' as const } };
    // of refusals one after the other the first is why: this one lacked what that was to bring
    const isFollowing = before.run?.state === 'failed' && before.error && from && from.guid !== before.sent?.guid;
    const why = error && !isFollowing && { error: shortened(error) };
    status.put(key, (): StatusEntry => ({ ...others, ...run, ...why, written: new Date(now).toISOString() }));
    return;
  }
  const creation = is?.creation;
  const sent = { name: leafOf(to.name) ?? '', guid: to.guid, ...(creation !== undefined && { creation }) };
  const entry = lagged(storedUpTo(lagFactsSince(source, sent, now), stored?.guid), now);
  // of what was done it said why the target did not take this, and a failure counts no more where nothing is missing
  const { error: _, run, ...known } = others;
  const isVoid = run?.state === 'failed' && entry.lag?.snapshots === 0;
  const isDone = isVoid || run?.state === 'done';
  const rest = run && isDone ? { ...known, run: { ...run, state: 'done' as const } } : others;
  status.put(key, () => ({ ...rest, ...entry }));
}
