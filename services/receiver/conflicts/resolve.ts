import type { Zfs } from '../../../lib/zfs/zfs.ts';
import type { Rename } from '../../../schemas/conflict.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { ReceiveStart } from '../../../schemas/transfer.ts';
import { isRenamed } from '../admission/allowed-conflicts.ts';
import { namingUsers } from './mount-users.ts';
import { type Around, type ClearDeps, rollBack } from './rollback.ts';

/**
 * Does to the target what its step's plan says, after more looks at it: nothing goes that the plan does not list.
 * Done already, it changes nothing (I9).
 * @throws ZpsendError DIVERGED where something is not as it was planned for, or BUSY and what else ZFS refuses with
 */
export async function clearTarget(
  deps: ClearDeps,
  { transfer, dataset, before }: Pick<ReceiveStart, 'transfer' | 'dataset' | 'before'>,
  around: Around,
): Promise<void> {
  if (before?.kind === 'rollback') await rollBack(deps, before, { ...around, transfer });
  if (before?.kind === 'rename') await rename(deps, before, dataset, around);
}

async function rename(
  { zfs, host, log }: ClearDeps,
  clearing: Rename,
  dataset: string,
  { discard, stopped }: Around,
): Promise<void> {
  const { from, to } = clearing;
  const isDone = isRenamed(clearing, host, await zfs.inspect([from, to]));
  if (!isDone && from === dataset) await assertNoChildren(zfs, from, host);
  if (discard && !stopped()) await zfs.abortReceive(isDone ? dataset : from);
  if (isDone || stopped()) return;
  log.warn('conflict.renamed', `renaming ${from} to ${to}`);
  try {
    await zfs.rename(from, to);
  } catch (thrown) {
    throw await namingUsers(thrown);
  }
}

/** @throws ZpsendError DIVERGED: what lies below a dataset would move along */
async function assertNoChildren(zfs: Zfs, name: string, host: string): Promise<void> {
  const below = (await zfs.list({ dataset: name, recursive: true })).filter((one) => one.name !== name);
  if (below.length === 0) return;
  throw new ZpsendError(
    'DIVERGED',
    `${name} on ${host} is not moved aside: ${below[0]?.name} lies below it now and would move along. Send again.`,
    { dataset: name, below: below.slice(0, 20).map((one) => one.name) },
  );
}
