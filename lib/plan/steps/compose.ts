import type { Code } from '../../../schemas/errors.ts';
import type { Plan, Refused } from '../../../schemas/plan.ts';
import type { DatasetPlan, DatasetPlans } from '../dataset-plan.ts';
import type { Refusal } from '../refusal.ts';

/**
 * Codes that leave out one dataset and do not affect the rest of a package: its target or key has diverged, a key is not loaded
 * (openzfs#13033), or the target cannot receive its stream.
 */
const ofOneDataset: ReadonlySet<Code> = new Set(['DIVERGED', 'EXISTS', 'KEY_MISMATCH', 'KEY_REQUIRED', 'UNSUPPORTED']);

type RefusedPlan = DatasetPlan & { refusal: Refusal };

/**
 * Combines the plans of all datasets. Refuses the package if a dataset lacks something that the package needs (an origin, the named
 * snapshot). If only one dataset cannot be sent, leaves it out and reports it.
 */
export function composed({ datasets, notes }: DatasetPlans): Plan {
  const refused = datasets.filter((plan): plan is RefusedPlan => plan.refusal !== undefined);
  // a missing snapshot may be the cause of a missing origin
  const first =
    refused.find(({ refusal }) => refusal.error.code === 'NO_SUCH_SNAPSHOT') ??
    refused.find(({ refusal }) => !ofOneDataset.has(refusal.error.code)) ??
    refused[0];
  const isWhole = first && (!ofOneDataset.has(first.refusal.error.code) || refused.length === datasets.length);
  if (isWhole) return withOthers(first, refused);
  return {
    ok: true,
    steps: datasets.flatMap(({ steps }) => steps),
    ...(refused.length > 0 && { refused: refused.map(asRefused) }),
    ...(notes.length > 0 && { notes }),
  };
}

/** Limit of other refused datasets in a message. */
const mostOthers = 5;

function withOthers(first: RefusedPlan, refused: readonly RefusedPlan[]): Refusal {
  const others = refused.filter((plan) => plan !== first).map(({ sourceDataset }) => sourceDataset);
  if (others.length === 0) return first.refusal;
  const { error } = first.refusal;
  const more = others.length > mostOthers ? ` and ${others.length - mostOthers} more` : '';
  const message = `${error.message} Also refused: ${others.slice(0, mostOthers).join(', ')}${more}.`;
  return { ...first.refusal, error: { ...error, message } };
}

/** Limit of names of each kind in a dataset's evidence in a package (the newest ones): many datasets may be refused. */
const mostNames = 20;

const asRefused = ({ sourceDataset, targetDataset, refusal: { error, evidence } }: RefusedPlan): Refused => ({
  dataset: sourceDataset,
  targetDataset,
  error,
  ...(evidence && {
    evidence: {
      ...evidence,
      sourceOnly: evidence.sourceOnly.slice(-mostNames),
      targetOnly: evidence.targetOnly.slice(-mostNames),
    },
  }),
});
