import { type Refusal, refuse, someOf } from '../../../lib/plan/refusal.ts';
import type { Rollback } from '../../../schemas/conflict.ts';
import type { Step } from '../../../schemas/plan.ts';

/** The events since the first plan was made. */
export interface Since {
  /** The target has settled an unfinished rollback: a part of the plan may be done. */
  readonly isAnew: boolean;
  /** Is it a transfer of this job? */
  readonly ours: (transfer: string) => boolean;
}

/**
 * A job destroys only what its first plan lists. If a later plan's rollback would only discard unsnapshotted writes, it is
 * skipped and `zfs receive` decides (it accepts the writes of a mount). If it would destroy snapshots, the chain ends. A rename
 * destroys nothing, and is always allowed.
 * @returns the later steps as they may be carried out, or a refusal
 */
export function limitToApproved(
  first: readonly Step[],
  again: readonly Step[],
  since: Since,
): readonly Step[] | Refusal {
  const [step, ...rest] = again;
  const before = step?.before;
  if (!step || before?.kind !== 'rollback') return again;
  const planned = first[0]?.before;
  if (planned?.kind === 'rollback' && isSame(before, planned, since)) return again;
  const { before: _, ...bare } = step;
  if (before.destroys.length === 0) return [bare, ...rest];
  const names = someOf(before.destroys.map(({ name }) => name));
  return refuse(
    'DIVERGED',
    `${step.targetDataset} has changed since the job was planned: a rollback to ${before.to.name} would destroy ${names}, which its plan does ` +
      'not list. Nothing was changed. Check it, and send again.',
    { details: { dataset: step.targetDataset } },
  );
}

/**
 * Is it the planned rollback, not yet done? Either no transfer with a rollback has started since, or one of this job has, and
 * all snapshots that it would destroy still exist.
 */
function isSame(later: Rollback, planned: Rollback, { isAnew, ours }: Since): boolean {
  const guids = new Set(planned.destroys.map(({ guid }) => guid));
  const marks = new Set(planned.cursors?.map(({ name }) => name));
  return (
    later.guid === planned.guid &&
    later.to.guid === planned.to.guid &&
    later.destroys.every(({ guid }) => guids.has(guid)) &&
    (isAnew || later.destroys.length === planned.destroys.length) &&
    (later.cursors ?? []).every(({ name }) => marks.has(name)) &&
    (later.written ?? 0) <= (planned.written ?? 0) &&
    (isAnew || later.after === planned.after || (planned.destroys.length > 0 && ours(later.after ?? '')))
  );
}
