import { type Refusal, refuse } from '../../lib/plan/refusal.ts';
import type { Step } from '../../schemas/plan.ts';

/**
 * A job destroys only what the plan lists that it began with: what came to the target while it ran was shown to nobody, so a
 * later plan that would roll that back too ends the chain instead. A renaming loses nothing, and may be planned at any time.
 * @returns why the later steps are not to be carried out, undefined where they may be
 */
export function beyondPlan(first: readonly Step[], again: readonly Step[]): Refusal | undefined {
  const before = again[0]?.before;
  if (before?.kind !== 'rollback') return undefined;
  const planned = first[0]?.before;
  const sanctioned = new Set(planned?.kind === 'rollback' ? planned.destroys.map(({ guid }) => guid) : []);
  const more = before.destroys.filter(({ guid }) => !sanctioned.has(guid)).map(({ name }) => `@${name}`);
  if (planned?.kind === 'rollback' && more.length === 0) return undefined;
  const what = more.length > 0 ? `has ${more.slice(0, 20).join(', ')}` : 'was written to';
  return refuse(
    'DIVERGED',
    `${again[0]?.target} ${what} since the job was planned, and only what its plan lists is destroyed. Look at it, and send again.`,
    { details: { dataset: again[0]?.target ?? '' } },
  );
}
