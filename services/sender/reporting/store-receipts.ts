import type { SettledState } from '../../../lib/bus/channel/store/delivery-state.ts';
import { statusKey } from '../../../lib/bus/subjects.ts';
import { datasetOf, leafOf } from '../../../schemas/names.ts';
import type { StatusEntry } from '../../../schemas/status.ts';
import type { StoredStart } from '../../../schemas/stored.ts';
import { lagged, shortened } from './dataset-status.ts';
import type { JobStatusDeps } from './job-status.ts';
import { knownEntries, pendingEntries } from './known-entries.ts';
import { lagFactsSince, storedUpTo } from './lag.ts';

/**
 * Writes the result of a stored stream at its target to the status. A dataset without an entry, or one that the source no longer has,
 * gets nothing.
 * @throws ZpsendError the error of a listing
 */
export async function reportSettled(
  { host, bus, zfs, status, clock }: Pick<JobStatusDeps, 'host' | 'bus' | 'zfs' | 'status' | 'clock'>,
  target: string,
  { from, to, targetDataset: into }: Pick<StoredStart, 'from' | 'to' | 'targetDataset'>,
  settled: SettledState,
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
  // the target has received newer snapshots directly since it was stored
  if (was && is && BigInt(was.createtxg) > BigInt(is.createtxg)) return;
  const now = clock.date();
  const { stored, ...others } = before;
  if (settled.type !== 'delivered') {
    const { error } = settled;
    const run = before.run && { run: { ...before.run, state: 'failed' as const } };
    // of several rejected streams the first has the reason: this one lacked that one's snapshot
    const isFollowing = before.run?.state === 'failed' && before.error && from && from.guid !== before.sent?.guid;
    const why = error && !isFollowing && { error: shortened(error) };
    status.put(key, (): StatusEntry => ({ ...others, ...run, ...why, written: new Date(now).toISOString() }));
    return;
  }
  const creation = is?.creation;
  const sent = { name: leafOf(to.name) ?? '', guid: to.guid, ...(creation !== undefined && { creation }) };
  const entry = lagged(storedUpTo(lagFactsSince(source, sent, now), stored?.guid), now);
  // the error of a job that is done was why this was blocked; a failure is void where nothing is missing
  const { error: _, run, ...known } = others;
  const isVoid = run?.state === 'failed' && entry.lag?.snapshots === 0;
  const isDone = isVoid || run?.state === 'done';
  const rest = run && isDone ? { ...known, run: { ...run, state: 'done' as const } } : others;
  status.put(key, () => ({ ...rest, ...entry }));
}
