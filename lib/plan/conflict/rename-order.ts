import type { Rename } from '../../../schemas/conflict.ts';
import { datasetOf } from '../../../schemas/names.ts';
import type { DatasetPlan } from '../dataset-plan.ts';
import { nameAfter } from './after-resolution.ts';

const renameIn = ({ steps: [first] }: DatasetPlan): Rename | undefined =>
  first?.before?.kind === 'rename' ? first.before : undefined;

/**
 * Renames that follow a rename at the source come first: they free names that other datasets take, and create parents. Among
 * themselves they keep the order of `chosen`, since a later one uses the names that an earlier one has made.
 * A clone that is planned before its origin is rotated keeps the origin's present name.
 * @param chosen datasets of the source whose target is renamed or rolled back, in the order of the choice
 */
export function inOrderOfRenames(plans: readonly DatasetPlan[], chosen: Iterable<string>): DatasetPlan[] {
  const rank = new Map([...chosen].map((dataset, at) => [dataset, at]));
  const rankOf = ({ sourceDataset }: DatasetPlan): number => rank.get(sourceDataset) ?? rank.size;
  const follows = (plan: DatasetPlan): boolean => renameIn(plan)?.to === plan.targetDataset;
  const followers = plans.filter(follows).toSorted((one, other) => rankOf(one) - rankOf(other));
  return withPresentOrigins([...followers, ...plans.filter((plan) => !follows(plan))]);
}

function withPresentOrigins(plans: readonly DatasetPlan[]): DatasetPlan[] {
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
