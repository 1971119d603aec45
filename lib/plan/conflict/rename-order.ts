import type { Rename } from '../../../schemas/conflict.ts';
import { datasetOf } from '../../../schemas/names.ts';
import type { DatasetPlan } from '../dataset-plan.ts';
import { nameAfter } from './after-resolution.ts';

const renameIn = ({ steps: [first] }: DatasetPlan): Rename | undefined =>
  first?.before?.kind === 'rename' ? first.before : undefined;

/**
 * What follows a renaming at the source comes first: it needs nothing but what is there, and others go to where it was, or
 * below where it will be. Two of them stay in the order in which they were chosen: a later one names what an earlier one has renamed.
 * A clone that comes before its origin is moved aside finds it under the name that it still has.
 * @param chosen datasets of the source whose target is changed, in the order in which they were chosen
 */
export function inOrderOfRenames(plans: readonly DatasetPlan[], chosen: Iterable<string>): DatasetPlan[] {
  const place = new Map([...chosen].map((dataset, at) => [dataset, at]));
  const placeOf = ({ sourceDataset }: DatasetPlan): number => place.get(sourceDataset) ?? place.size;
  const follows = (plan: DatasetPlan): boolean => renameIn(plan)?.to === plan.targetDataset;
  const followers = plans.filter(follows).toSorted((one, other) => placeOf(one) - placeOf(other));
  return withOriginsInTime([...followers, ...plans.filter((plan) => !follows(plan))]);
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
