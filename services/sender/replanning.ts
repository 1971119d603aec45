import type { DatasetPlan } from '../../lib/plan/items.ts';
import { isRefusal, type Refusal } from '../../lib/plan/refusal.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import type { Step } from '../../schemas/plan.ts';
import type { Planned } from './planning.ts';

/** Plans again for one dataset, by its name on the source: what is left of it, or why it cannot be sent any more. */
export type Replan = (dataset: string) => Promise<readonly Step[] | Refusal>;

/**
 * Chains that ask at once share one plan of everything, since a listing may be long.
 * @throws ZpsendError NO_SUCH_DATASET when the dataset is not in the package any more, or what a listing failed with
 */
export function replanner(host: string, make: () => Promise<Planned>): Replan {
  const planAgain = shared(async () => {
    const { plans } = await make();
    return isRefusal(plans)
      ? plans
      : new Map(plans.datasets.map((plan): [string, DatasetPlan] => [plan.dataset, plan]));
  });
  return async (dataset) => {
    const plans = await planAgain();
    if (isRefusal(plans)) return plans;
    const plan = plans.get(dataset);
    if (plan) return plan.refusal ?? plan.steps;
    throw new ZpsendError('NO_SUCH_DATASET', `${dataset} on ${host} is gone, or is not part of what is sent any more`, {
      host,
      dataset,
    });
  };
}

/**
 * Does the work once for all who ask before it begins. Who asks while it runs waits for the next run: a listing that is
 * under way may be older than what the asker has just run into.
 */
export function shared<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<unknown> = Promise.resolve();
  let next: Promise<T> | undefined;
  return () => {
    next ??= running.then(() => {
      next = undefined;
      const result = work();
      running = result.catch(() => {}).then(() => {});
      return result;
    });
    return next;
  };
}
