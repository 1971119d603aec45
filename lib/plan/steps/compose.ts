import type { Code } from '../../../schemas/errors.ts';
import type { Plan, Refused } from '../../../schemas/plan.ts';
import type { DatasetPlan, DatasetPlans } from '../dataset-plan.ts';
import type { Refusal } from '../refusal.ts';

/**
 * What keeps one dataset out and leaves the rest of a package as it is: the target's dataset, or its key, went its own way, a
 * key is not loaded (openzfs#13033), or its stream or its place is not what the target takes.
 */
const ownAffair: ReadonlySet<Code> = new Set(['DIVERGED', 'EXISTS', 'KEY_MISMATCH', 'KEY_REQUIRED', 'UNSUPPORTED']);

type RefusedPlan = DatasetPlan & { refusal: Refusal };

/**
 * The plans of all datasets as one. Where a dataset lacks what the package needs (an origin, the named snapshot), nothing of
 * it is sent; where one dataset alone cannot be sent, that one is left out and told.
 */
export function composed({ datasets, notes }: DatasetPlans): Plan {
  const refused = datasets.filter((plan): plan is RefusedPlan => plan.refusal !== undefined);
  // a snapshot that is lacking may be why an origin is
  const first =
    refused.find(({ refusal }) => refusal.error.code === 'NO_SUCH_SNAPSHOT') ??
    refused.find(({ refusal }) => !ownAffair.has(refusal.error.code)) ??
    refused[0];
  const isWhole = first && (!ownAffair.has(first.refusal.error.code) || refused.length === datasets.length);
  if (isWhole) return withOthers(first, refused);
  return {
    ok: true,
    steps: datasets.flatMap(({ steps }) => steps),
    ...(refused.length > 0 && { refused: refused.map(asRefused) }),
    ...(notes.length > 0 && { notes }),
  };
}

/** Names of other refused datasets in a message. */
const mostOthers = 5;

function withOthers(first: RefusedPlan, refused: readonly RefusedPlan[]): Refusal {
  const others = refused.filter((plan) => plan !== first).map(({ sourceDataset }) => sourceDataset);
  if (others.length === 0) return first.refusal;
  const { error } = first.refusal;
  const more = others.length > mostOthers ? ` and ${others.length - mostOthers} more` : '';
  const message = `${error.message} Refused as well: ${others.slice(0, mostOthers).join(', ')}${more}.`;
  return { ...first.refusal, error: { ...error, message } };
}

/** Names of each kind that a dataset's evidence carries in a package, the newest ones: many may be refused. */
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
