import { readStatus } from '../../../lib/bus/status/read.ts';
import { statusKey } from '../../../lib/bus/subjects.ts';
import type { ErrorBody } from '../../../schemas/errors.ts';
import { datasetOf, leafOf } from '../../../schemas/names.ts';
import type { StatusEntry } from '../../../schemas/status.ts';
import type { Receipt, StoredStart } from '../../../schemas/stored.ts';
import type { BoardDeps } from './board.ts';
import { factsSince, storedUpTo } from './facts.ts';
import { lagged, shortened } from './line.ts';

type Writing = Pick<BoardDeps, 'host' | 'bus' | 'status'>;

/** What the board says, or is about to. */
const entryAt = async ({ host, bus, status }: Writing, target: string, key: string): Promise<StatusEntry | undefined> =>
  status.pending().find(([pending]) => pending === key)?.[1] ??
  (await readStatus(bus, host, target))?.found.find((one) => statusKey(one) === key)?.entry;

/**
 * Tells on the board why a target does not take what is stored for it, or no more so.
 * @param was what was told before
 */
export async function tellHeld(
  deps: Writing,
  target: string,
  { to, dataset: into }: Pick<StoredStart, 'to' | 'dataset'>,
  now: ErrorBody | undefined,
  was: ErrorBody | undefined,
): Promise<void> {
  const key = statusKey({ source: deps.host, target, dataset: datasetOf(to.name), into });
  const before = await entryAt(deps, target, key);
  // a job tells that itself, and why it failed is more than this
  if (!before || (before.run && before.run.state !== 'done')) return;
  const { error, ...others } = before;
  if (!now && error?.message !== (was && shortened(was).message)) return;
  const written = new Date().toISOString();
  deps.status.put(key, () => ({ ...others, ...(now && { error: shortened(now) }), written }));
}

/**
 * Tells on the board what became of a stored stream at its target. A dataset that has no line, or is not here any more, is not told of.
 * @throws ZpsendError what a listing failed with
 */
export async function tellTaken(
  { host, bus, zfs, status }: Writing & Pick<BoardDeps, 'zfs'>,
  target: string,
  { from, to, dataset: into }: Pick<StoredStart, 'from' | 'to' | 'dataset'>,
  { state, error }: Receipt,
): Promise<void> {
  const dataset = datasetOf(to.name);
  const key = statusKey({ source: host, target, dataset, into });
  const before = await entryAt({ host, bus, status }, target, key);
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
  const entry = lagged(storedUpTo(factsSince(source, sent, now), stored?.guid), now);
  const { error: held, ...taken } = others;
  status.put(key, () => ({ ...taken, ...(others.run?.state !== 'done' && held && { error: held }), ...entry }));
}
