import { type Refusal, refuse } from '../../lib/plan/refusal.ts';
import type { Rollback } from '../../schemas/conflict.ts';
import type { Step } from '../../schemas/plan.ts';

/**
 * A job destroys only what the plan lists that it began with: what came to the target while it ran was shown to nobody, so a
 * later plan that would roll that back too ends the chain instead. A renaming loses nothing, and may be planned at any time.
 * @param isBegun the target took bytes, so what was planned to be rolled back has been, and all that is there now is new
 * @returns why the later steps are not to be carried out, undefined where they may be
 */
export function beyondPlan(first: readonly Step[], again: readonly Step[], isBegun: boolean): Refusal | undefined {
  const before = again[0]?.before;
  if (before?.kind !== 'rollback') return undefined;
  const planned = isBegun ? undefined : rollbackOf(first);
  const sanctioned = new Set(planned ? goingIn(planned).map(({ key }) => key) : []);
  const more = goingIn(before).flatMap(({ key, shown }) => (sanctioned.has(key) ? [] : [shown]));
  if (planned && more.length === 0 && isWithin(before, planned)) return undefined;
  const what = more.length > 0 ? `has ${more.slice(0, 20).join(', ')}` : 'was written to';
  return refuse(
    'DIVERGED',
    `${again[0]?.target} ${what} since the job was planned, and only what its plan lists is destroyed. Look at it, and send again.`,
    { details: { dataset: again[0]?.target ?? '' } },
  );
}

/** The step as it may be asked for: once its rollback is done, what was written after that is left for `zfs receive` to refuse. */
export function stepToAsk(step: Step, isBegun: boolean): Step {
  const { before, ...rest } = step;
  return isBegun && before?.kind === 'rollback' ? rest : step;
}

function rollbackOf(steps: readonly Step[]): Rollback | undefined {
  const before = steps[0]?.before;
  return before?.kind === 'rollback' ? before : undefined;
}

/** To the same snapshot, with no more written since: going back to another loses what that one knows nothing of. */
const isWithin = (later: Rollback, planned: Rollback): boolean =>
  later.to.guid === planned.to.guid && (later.written ?? 0) <= (planned.written ?? 0);

/** A snapshot is known by its guid, whatever it is called meanwhile; a cursor's name says its guid and its target. */
const goingIn = ({ destroys, cursors = [] }: Rollback): { key: string; shown: string }[] => [
  ...destroys.map(({ name, guid }) => ({ key: guid, shown: `@${name}` })),
  ...cursors.map(({ name }) => ({ key: name, shown: `#${name}` })),
];
