import type { Refusal } from '../../../lib/plan/refusal.ts';
import type { JobContext } from '../../../lib/plan/request/job-context.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { coalesce } from '../../host/coalesce.ts';
import type { Planned } from './plan-job.ts';
import { type Arrived, afterLoss, type Interrupted, type Replanned } from './vanished.ts';

/** Plans again for one dataset: the remaining steps, or why it can no longer be sent. */
export type Replan = (chain: Interrupted) => Promise<Replanned | Refusal>;

/**
 * Chains that plan again at the same time share one plan, since a listing may be long.
 * @param arrived steps of the job that have arrived
 * @throws ZpsendError NO_SUCH_DATASET when the dataset is no longer in the package, or the error of a listing
 */
export function replanner(
  context: JobContext,
  make: () => Promise<Planned>,
  arrived: () => readonly Arrived[],
): Replan {
  const planAgain = coalesce(make);
  return async (chain) => {
    const planned = await planAgain();
    const left = afterLoss(context, chain, planned, arrived());
    if (left) return left;
    const { sourceDataset } = chain;
    const { host } = planned.source;
    throw new ZpsendError(
      'NO_SUCH_DATASET',
      `${sourceDataset} on ${host} no longer exists, or is no longer part of the request`,
      {
        host,
        dataset: sourceDataset,
      },
    );
  };
}
