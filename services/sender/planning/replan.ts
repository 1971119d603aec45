import type { Refusal } from '../../../lib/plan/refusal.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { SendRequest } from '../../../schemas/plan.ts';
import { coalesce } from '../../host/coalesce.ts';
import type { Planned } from './plan-job.ts';
import { type Arrived, afterLoss, type Interrupted, type Replanned } from './vanished.ts';

/** Plans again for one dataset: what is left of it, or why it cannot be sent any more. */
export type Replan = (chain: Interrupted) => Promise<Replanned | Refusal>;

/**
 * Chains that ask at once share one plan of everything, since a listing may be long.
 * @param arrived what the job has brought
 * @throws ZpsendError NO_SUCH_DATASET when the dataset is not in the package any more, or what a listing failed with
 */
export function replanner(
  request: SendRequest,
  make: () => Promise<Planned>,
  arrived: () => readonly Arrived[],
): Replan {
  const planAgain = coalesce(make);
  return async (chain) => {
    const planned = await planAgain();
    const left = afterLoss(request, chain, planned, arrived());
    if (left) return left;
    const { sourceDataset } = chain;
    const { host } = planned.source;
    throw new ZpsendError(
      'NO_SUCH_DATASET',
      `${sourceDataset} on ${host} is gone, or is not part of what is sent any more`,
      {
        host,
        dataset: sourceDataset,
      },
    );
  };
}
