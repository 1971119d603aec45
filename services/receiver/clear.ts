import { isCursor } from '../../lib/plan/cursor-name.ts';
import { writtenSince } from '../../lib/plan/rollback.ts';
import type { Zfs } from '../../lib/zfs/zfs.ts';
import type { Rename, Rollback } from '../../schemas/conflict.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import type { BookmarkEntry, DatasetEntry, SnapshotEntry } from '../../schemas/inventory.ts';
import { datasetOf } from '../../schemas/names.ts';
import type { ReceiveStart } from '../../schemas/transfer.ts';
import type { Log } from '../host/log.ts';
import { baseTag } from './base-hold.ts';
import { isRenamed } from './conflicts.ts';

interface Deps {
  readonly zfs: Zfs;
  readonly host: string;
  readonly log: Log;
}

/** How the work goes on around each of its commands. */
interface Around {
  /** The partial state of an older receive goes too. */
  readonly discard: boolean;
  /** Why nothing more may be done: the lock is lost, say. */
  readonly stopped: () => boolean;
}

/**
 * Does to the target what its step's plan says, after one more look at it: nothing goes that the plan does not list by guid.
 * Done already, it changes nothing (I9).
 * @throws ZpsendError DIVERGED where something is there that was not planned for, or BUSY and what else ZFS refuses with
 */
export async function clearTarget(deps: Deps, { dataset, before }: ReceiveStart, around: Around): Promise<void> {
  if (before?.kind === 'rollback') await rollBack(deps, before, around);
  if (before?.kind === 'rename') await rename(deps, before, dataset, around);
}

async function rollBack({ zfs, host, log }: Deps, clearing: Rollback, { discard, stopped }: Around): Promise<void> {
  const name = datasetOf(clearing.to.name);
  const [there] = await zfs.list({ dataset: name });
  const { snapshots: going, cursors } = goingOf(clearing, there, host);
  const full = (entry: SnapshotEntry): string => `${name}@${entry.name}`;
  const held = going.filter(({ userrefs }) => userrefs > 0).map(full);
  const holds = held.length > 0 ? await zfs.holds(held) : [];
  // a job of a sender on this host may run from it, and a person may have chosen any tag
  const foreign = holds.find(({ tag }) => tag !== baseTag);
  if (foreign) throw heldBy(foreign, host);
  const commands: (() => Promise<unknown>)[] = [
    ...(discard ? [() => zfs.abortReceive(name)] : []),
    ...holds.map(({ tag, snapshot }) => async () => {
      log.warn(`releasing ${tag} on ${snapshot}, which is to be destroyed`);
      await zfs.release(tag, [snapshot]);
    }),
    async () => {
      if (going.length === 0) return;
      log.warn(`destroying ${going.map((entry) => `${full(entry)} (guid ${entry.guid})`).join(', ')}, as planned`);
      await zfs.destroySnapshots(
        name,
        going.map((entry) => entry.name),
      );
    },
    // last of all that goes: while a snapshot is there whose cursor it is, whoever has that can still go on from it
    ...cursors.map((mark) => async () => {
      log.warn(`removing the cursor bookmark ${name}#${mark.name}, as planned`);
      await zfs.destroyBookmark(`${name}#${mark.name}`);
    }),
    async () => {
      if (going.length === 0 && there?.written === 0) return;
      log.warn(`rolling ${name} back to ${clearing.to.name}`);
      await zfs.rollback(clearing.to.name);
    },
  ];
  for (const command of commands) if (!stopped()) await command();
}

interface Going {
  readonly snapshots: readonly SnapshotEntry[];
  readonly cursors: readonly BookmarkEntry[];
}

/**
 * What is newer there than the snapshot to go back to, by its own createtxg: ZFS goes back over no bookmark either.
 * @throws ZpsendError DIVERGED where some of it is not in the plan, or more was written than that says
 */
export function goingOf(clearing: Rollback, there: DatasetEntry | undefined, host: string): Going {
  const { to, destroys, cursors = [] } = clearing;
  const base = there?.snapshots.find(({ guid, name }) => guid === to.guid && `${there.name}@${name}` === to.name);
  if (!there || !base) {
    throw new ZpsendError(
      'DIVERGED',
      `${to.name} on ${host} is not the snapshot that was to be gone back to. Send again.`,
      {
        snapshot: to.name,
        guid: to.guid,
      },
    );
  }
  const isNewer = ({ createtxg }: { createtxg: string }) => BigInt(createtxg) > BigInt(base.createtxg);
  const going: Going = { snapshots: there.snapshots.filter(isNewer), cursors: there.bookmarks.filter(isNewer) };
  const planned = new Set([...destroys.map(({ guid }) => guid), ...cursors.map(({ name }) => name)]);
  const more = [
    ...going.snapshots.filter(({ guid }) => !planned.has(guid)).map(({ name }) => `@${name}`),
    ...going.cursors.filter((mark) => !(planned.has(mark.name) && isCursor(mark))).map(({ name }) => `#${name}`),
  ];
  if (more.length === 0) {
    checkWritten(there, going, clearing, host);
    return going;
  }
  const names = more.slice(0, 20);
  throw new ZpsendError(
    'DIVERGED',
    `${there.name} on ${host} has ${names.join(', ')} since it was planned to go back to ${to.name}, and what is not in the ` +
      'plan is not destroyed. Look at it, and send again.',
    { dataset: there.name, new: names },
  );
}

/** @throws ZpsendError DIVERGED where more would be lost than the plan says: something was written, without a snapshot */
function checkWritten(
  there: DatasetEntry,
  { snapshots }: Going,
  { to, written: planned = 0 }: Rollback,
  host: string,
): void {
  const written = writtenSince(there, snapshots);
  if (written <= planned) return;
  throw new ZpsendError(
    'DIVERGED',
    `${there.name} on ${host} was written to since it was planned to go back to ${to.name}: ${written} bytes would be lost, and ` +
      `${planned} were planned. It is left as it is: look at it, and send again.`,
    { dataset: there.name, written, planned },
  );
}

const heldBy = ({ tag, snapshot }: { tag: string; snapshot: string }, host: string): ZpsendError =>
  new ZpsendError(
    'DIVERGED',
    `${snapshot} on ${host} is held by "${tag}", so it is not destroyed, and nothing else is. Where nothing needs it any more: ` +
      `zfs release ${tag} ${snapshot}`,
    { snapshot, tag },
  );

async function rename(
  { zfs, host, log }: Deps,
  clearing: Rename,
  dataset: string,
  { discard, stopped }: Around,
): Promise<void> {
  const { from, to } = clearing;
  const isDone = isRenamed(clearing, host, await zfs.look([from, to]));
  if (!isDone && from === dataset) await checkAlone(zfs, from, host);
  if (discard && !stopped()) await zfs.abortReceive(isDone ? dataset : from);
  if (isDone || stopped()) return;
  log.warn(`renaming ${from} to ${to}`);
  await zfs.rename(from, to);
}

/** @throws ZpsendError DIVERGED: what lies below a dataset would move along */
async function checkAlone(zfs: Zfs, name: string, host: string): Promise<void> {
  const below = (await zfs.list({ dataset: name, recursive: true })).filter((one) => one.name !== name);
  if (below.length === 0) return;
  throw new ZpsendError(
    'DIVERGED',
    `${name} on ${host} is not moved aside: ${below[0]?.name} lies below it now and would move along. Send again.`,
    { dataset: name, below: below.slice(0, 20).map((one) => one.name) },
  );
}
