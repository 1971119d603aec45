import type { DatasetPlan } from '../../../lib/plan/dataset-plan.ts';
import { ownMark } from '../../../lib/plan/steps/initial-flags.ts';
import type { Planned } from '../planning/plan-job.ts';
import { type LagFacts, lagFacts, storedUpTo } from './lag.ts';

/**
 * The lag of each dataset by the listings of a plan; undefined for one that the source does not have.
 * @param listed milliseconds since the epoch
 */
export function listedFacts(
  { source, target: there, known = there }: Planned,
  listed: number,
): (plan: DatasetPlan) => LagFacts | undefined {
  const sources = new Map(source.datasets.map((entry) => [entry.name, entry]));
  const [has, awaits] = [known, there].map(({ datasets }) => new Map(datasets.map((entry) => [entry.name, entry])));
  return ({ sourceDataset, targetDataset: into, steps: [first] }) => {
    const entry = sources.get(sourceDataset);
    if (!entry) return undefined;
    const facts = lagFacts(entry, has?.get(into), listed);
    const last = known === there ? undefined : lagFacts(entry, awaits?.get(into), listed).sent?.guid;
    const stream = first?.record ?? ownMark(has?.get(into)?.stream, entry.guid);
    const wrapping = has?.get(into)?.wrapping;
    const nextWrapping = first?.wrapping ?? (first?.from && !first.origin ? wrapping : undefined);
    return { ...storedUpTo(facts, last), stream, wrapping, nextWrapping };
  };
}
