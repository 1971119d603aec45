import { type Refusal, refuse, someOf } from '../../../lib/plan/refusal.ts';
import type { Rollback } from '../../../schemas/conflict.ts';
import type { Step } from '../../../schemas/plan.ts';

/** What has happened since the first plan was made. */
export interface Since {
  /** The target has settled what was left of a rollback: some of what was planned may be done. */
  readonly isAnew: boolean;
  /** Is it a transfer of this job? */
  readonly ours: (transfer: string) => boolean;
}

/**
 * A job loses nothing but what the plan lists that it began with: what came to the target while it ran was shown to nobody. So
 * of a later plan the rollback is left out where it would drop only what was written, which zfs receive then judges (it
 * forgives what a mere mount wrote), and ends the chain where it would destroy something. A renaming loses nothing, and may be
 * planned at any time.
 * @returns the later steps as they may be carried out, or why they may not
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
    `${step.targetDataset} has changed since the job was planned: going back to ${before.to.name} would lose ${names} now, and not what ` +
      'its plan lists. It is left as it is: look at it, and send again.',
    { details: { dataset: step.targetDataset } },
  );
}

/**
 * Is it the rollback that was planned, not yet done? No transfer has begun with any since, or one of this job's own, and then the
 * snapshots tell, being all there still; where none was to go, nothing would.
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
