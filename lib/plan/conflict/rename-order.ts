import type { Rename } from '../../../schemas/conflict.ts';
import { datasetOf } from '../../../schemas/names.ts';
import type { DatasetPlan } from '../dataset-plan.ts';
import { nameAfter } from './after-resolution.ts';

const renameIn = ({ steps: [first] }: DatasetPlan): Rename | undefined =>
  first?.before?.kind === 'rename' ? first.before : undefined;

/**
 * What follows a renaming at the source comes first: it needs nothing but what is there, and others go to where it was, or
 * below where it will be. A clone that comes before its origin is moved aside finds it under the name that it still has.
 */
export function inOrderOfRenames(plans: readonly DatasetPlan[]): DatasetPlan[] {
  const follows = (plan: DatasetPlan): boolean => renameIn(plan)?.to === plan.target;
  return withOriginsInTime([...plans.filter(follows), ...plans.filter((plan) => !follows(plan))]);
}

function withOriginsInTime(plans: readonly DatasetPlan[]): DatasetPlan[] {
  const ahead = new Map(plans.flatMap((plan) => renameIn(plan) ?? []).map((rename) => [rename.to, rename]));
  return plans.map((plan) => {
    const own = renameIn(plan);
    if (own) ahead.delete(own.to);
    const [first, ...rest] = plan.steps;
    const { origin } = first ?? {};
    const later = origin === undefined ? undefined : ahead.get(datasetOf(origin));
    if (!first || origin === undefined || !later) return plan;
    return { ...plan, steps: [{ ...first, origin: nameAfter(origin, { from: later.to, to: later.from }) }, ...rest] };
  });
}
