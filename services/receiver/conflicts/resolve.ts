import type { Zfs } from '../../../lib/zfs/zfs.ts';
import type { Rename } from '../../../schemas/conflict.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { ReceiveStart } from '../../../schemas/transfer.ts';
import { isRenamed } from '../admission/allowed-conflicts.ts';
import { namingUsers } from './mount-users.ts';
import { type Around, type ClearDeps, rollBack } from './rollback.ts';

/**
 * Resolves a conflict on the target by the step's plan. The target is inspected again: nothing is lost that the plan does not list.
 * If it is resolved already, nothing changes (I9).
 * @throws ZpsendError DIVERGED if the target is not as planned, BUSY, and other errors of ZFS
 */
export async function clearTarget(
  deps: ClearDeps,
  { transfer, targetDataset, before }: Pick<ReceiveStart, 'transfer' | 'targetDataset' | 'before'>,
  around: Around,
): Promise<void> {
  if (before?.kind === 'rollback') await rollBack(deps, before, { ...around, transfer });
  if (before?.kind === 'rename') await rename(deps, before, targetDataset, around);
}

async function rename(
  { zfs, host, log }: ClearDeps,
  resolution: Rename,
  targetDataset: string,
  { discard, stopped }: Around,
): Promise<void> {
  const { from, to } = resolution;
  const isDone = isRenamed(resolution, host, await zfs.inspect([from, to]));
  if (!isDone && from === targetDataset) await assertNoChildren(zfs, from, host);
  if (discard && !stopped()) await zfs.abortReceive(isDone ? targetDataset : from);
  if (isDone || stopped()) return;
  log.warn('conflict.renamed', `renaming ${from} to ${to}`);
  try {
    await zfs.rename(from, to);
  } catch (thrown) {
    throw await namingUsers(thrown);
  }
}

/** @throws ZpsendError DIVERGED if it has children, which a renaming would move too */
async function assertNoChildren(zfs: Zfs, name: string, host: string): Promise<void> {
  const below = (await zfs.list({ dataset: name, recursive: true })).filter((one) => one.name !== name);
  if (below.length === 0) return;
  throw new ZpsendError(
    'DIVERGED',
    `${name} on ${host} is not renamed, since that would rename ${below[0]?.name} too. Send again.`,
    { dataset: name, below: below.slice(0, 20).map((one) => one.name) },
  );
}
