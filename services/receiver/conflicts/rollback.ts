import { isCursor } from '../../../lib/plan/cursor-name.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import { endedMark, isUnderWay, type Rollback } from '../../../schemas/conflict.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { BookmarkEntry, DatasetEntry, SnapshotEntry } from '../../../schemas/inventory.ts';
import { datasetOf } from '../../../schemas/names.ts';
import type { Log } from '../../host/log.ts';
import { baseTag } from '../bases/last-received-hold.ts';

export interface ClearDeps {
  readonly zfs: Zfs;
  readonly host: string;
  readonly log: Log;
}

/** The context of each of its commands. */
export interface Around {
  /** Drop the partial state of an older receive, too. */
  readonly discard: boolean;
  /** May nothing more be done, for example because the lock is lost? */
  readonly stopped: () => boolean;
}

/**
 * Rolls the target back as planned. The target is inspected first, after the mark is set (then ZFS has counted all that was written
 * before), right before snapshots are destroyed and right before the rollback. The mark shows every later plan that the rollback may
 * have happened. A second mark at the end invalidates every plan that was made meanwhile.
 * @throws ZpsendError DIVERGED if the target is not as planned, BUSY, and other errors of ZFS
 */
export async function rollBack(
  deps: ClearDeps,
  resolution: Rollback,
  { transfer, discard, stopped }: Around & { readonly transfer: string },
): Promise<void> {
  const { zfs, host, log } = deps;
  const { to } = resolution;
  const name = datasetOf(to.name);
  const inspect = async (plan: Rollback) => lostBy(plan, (await zfs.list({ dataset: name }))[0], host);
  const drop = async () => {
    if (discard && !stopped()) await zfs.abortReceive(name);
  };
  const first = await inspect(resolution);
  if (first === undefined) return drop();
  await holdsOf(deps, name, first);
  if (stopped()) return;
  if (isUnderWay(resolution.after) && resolution.destroys.length === 0) {
    await zfs.markRollback(name, first.guid, endedMark(transfer));
    throw unsettled(resolution, host);
  }
  await zfs.markRollback(name, first.guid, transfer);
  const written = await zfs.writtenSince(to.name);
  const inspectAgain = () => inspect({ ...resolution, after: transfer });
  const lost = await inspectAgain();
  if (lost === undefined) return drop();
  const holds = await holdsOf(deps, name, lost);
  await drop();
  if (lost.snapshots.length > 0) {
    await destroy(deps, { targetDataset: name, to: to.name, snapshots: lost.snapshots, holds }, inspectAgain, stopped);
  }
  // cursors go last: as long as a snapshot is there, its cursor may still be the base of another target
  for (const mark of lost.cursors) {
    if (stopped()) return;
    log.warn('conflict.bookmark-removed', `removing the cursor bookmark ${name}#${mark.name}, as planned`);
    await zfs.destroyBookmark(`${name}#${mark.name}`);
  }
  const now = await zfs.writtenSince(to.name);
  if (now > written) throw writtenTo(resolution, now, written, host);
  if (stopped()) return;
  log.warn('conflict.rolled-back', `rolling ${name} back to ${to.name}`);
  await zfs.rollback(to.name);
  await zfs.markRollback(name, first.guid, endedMark(transfer));
}

/** The loss of a rollback. */
interface Lost {
  /** Of the dataset. */
  readonly guid: string;
  readonly snapshots: readonly SnapshotEntry[];
  readonly cursors: readonly BookmarkEntry[];
}

/**
 * The snapshots on the target that are newer than that of the rollback, by createtxg; a rollback does not pass over bookmarks either. Undefined
 * where nothing is newer and nothing was written: the rollback is done (I9).
 *
 * Everything has to be as planned. If some of the snapshots are gone, or another rollback has happened, the plan counted other bytes.
 * @throws ZpsendError DIVERGED
 */
export function lostBy(plan: Rollback, there: DatasetEntry | undefined, host: string): Lost | undefined {
  const { to, destroys, cursors: listed = [], written = 0 } = plan;
  const base = there?.snapshots.find(({ guid, name }) => guid === to.guid && `${there.name}@${name}` === to.name);
  if (!there || !base) {
    throw new ZpsendError(
      'DIVERGED',
      `${to.name} on ${host} is not the snapshot of the planned rollback. Send again.`,
      { snapshot: to.name, guid: to.guid },
    );
  }
  if (there.guid !== plan.guid) throw changed(there.name, host, 'is another dataset', { guid: there.guid });
  const isNewer = ({ createtxg }: { createtxg: string }) => BigInt(createtxg) > BigInt(base.createtxg);
  const snapshots = there.snapshots.filter(isNewer);
  const cursors = there.bookmarks.filter(isNewer);
  if (snapshots.length === 0 && there.written === 0) return undefined;
  const limitToApproved = new Set([...destroys.map(({ guid }) => guid), ...listed.map(({ name }) => name)]);
  const more = [
    ...snapshots.filter(({ guid }) => !limitToApproved.has(guid)).map(({ name }) => `@${name}`),
    ...cursors.filter((mark) => !(limitToApproved.has(mark.name) && isCursor(mark))).map(({ name }) => `#${name}`),
  ];
  if (more.length > 0)
    throw changed(there.name, host, `has ${more.slice(0, 20).join(', ')}`, { new: more.slice(0, 20) });
  const left = new Set(snapshots.map(({ guid }) => guid));
  const missing = destroys.filter(({ guid }) => !left.has(guid)).map(({ name }) => `@${name}`);
  if (missing.length > 0) {
    throw changed(there.name, host, `has lost ${missing.slice(0, 20).join(', ')}`, { missing: missing.slice(0, 20) });
  }
  if (there.rolledBack !== plan.after) {
    throw changed(there.name, host, 'was rolled back by another transfer', { transfer: there.rolledBack ?? '' });
  }
  if (there.written > written) throw writtenTo(plan, there.written, written, host);
  return { guid: there.guid, snapshots, cursors };
}

/** A hold on a snapshot, which has its full name. */
type Hold = Awaited<ReturnType<Zfs['holds']>>[number];

/** Only last-received holds may be released: others are of a sender's job on this host, or of an administrator. */
async function holdsOf({ zfs, host }: ClearDeps, name: string, { snapshots }: Lost): Promise<readonly Hold[]> {
  const held = snapshots.filter(({ userrefs }) => userrefs > 0).map((one) => `${name}@${one.name}`);
  const holds = held.length > 0 ? await zfs.holds(held) : [];
  const foreign = holds.find(({ tag }) => tag !== baseTag);
  if (foreign) throw heldBy(foreign, host);
  return holds;
}

interface Destruction {
  readonly targetDataset: string;
  /** The full name of the snapshot to which it is rolled back. */
  readonly to: string;
  readonly snapshots: readonly SnapshotEntry[];
  readonly holds: readonly Hold[];
}

/** Destroys all snapshots or none: then released holds are set again. */
async function destroy(
  { zfs, log }: ClearDeps,
  { targetDataset, to, snapshots, holds }: Destruction,
  inspect: () => Promise<Lost | undefined>,
  stopped: () => boolean,
): Promise<void> {
  const released: Hold[] = [];
  let gone = false;
  try {
    // in place of the snapshots that are destroyed
    if (holds.length > 0 && !stopped()) await zfs.hold(baseTag, [to]);
    for (const hold of holds) {
      if (stopped()) return;
      log.warn('conflict.hold-released', `releasing ${hold.tag} on ${hold.snapshot}, which is to be destroyed`);
      released.push(hold);
      await zfs.release(hold.tag, [hold.snapshot]);
    }
    // a name may belong to another snapshot meanwhile
    const left = await inspect();
    if (left === undefined || stopped()) return;
    log.warn(
      'conflict.destroyed',
      `destroying ${snapshots.map((one) => `${targetDataset}@${one.name} (guid ${one.guid})`).join(', ')}, as planned`,
      { snapshots: snapshots.map((one) => `${targetDataset}@${one.name}`) },
    );
    await zfs.destroySnapshots(
      targetDataset,
      snapshots.map((one) => one.name),
    );
    gone = true;
  } finally {
    if (!gone) for (const { tag, snapshot } of released) await zfs.hold(tag, [snapshot]).catch(() => {});
  }
}

const changed = (targetDataset: string, host: string, what: string, details: Record<string, unknown>): ZpsendError =>
  new ZpsendError(
    'DIVERGED',
    `${targetDataset} on ${host} ${what} since its rollback was planned. Nothing is destroyed: check it, and send again.`,
    { dataset: targetDataset, ...details },
  );

const writtenTo = ({ to }: Rollback, written: number, planned: number, host: string): ZpsendError =>
  new ZpsendError(
    'DIVERGED',
    `${datasetOf(to.name)} on ${host} was written to since its rollback was planned: it has ${written} bytes to lose, and ` +
      `${planned} were counted. It is not rolled back: check it, and send again. zfs set readonly=on protects a replica from writes.`,
    { dataset: datasetOf(to.name), written, planned },
  );

/** The job may plan again, since nothing is changed yet. */
const unsettled = ({ to }: Rollback, host: string): ZpsendError =>
  new ZpsendError(
    'DIVERGED',
    `${datasetOf(to.name)} on ${host} was being rolled back by a transfer that did not report its end, so the counted bytes may be ` +
      'gone, and newer ones there instead. It is not rolled back: check it, and send again.',
    { reason: 'rollback-unfinished', dataset: datasetOf(to.name) },
  );

const heldBy = ({ tag, snapshot }: { tag: string; snapshot: string }, host: string): ZpsendError =>
  new ZpsendError(
    'DIVERGED',
    `${snapshot} on ${host} is held by "${tag}", so nothing is destroyed. If the hold is not needed: ` +
      `zfs release ${tag} ${snapshot}`,
    { snapshot, tag },
  );
