import * as planner from '../../lib/plan/plan.ts';
import { isRefusal } from '../../lib/plan/refusal.ts';
import { jobContextOf } from '../../lib/plan/request/accept-request.ts';
import type { JobContext } from '../../lib/plan/request/job-context.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import type { SendRequest } from '../../schemas/request.ts';

/** The context of a request that is valid. */
export function contextOf(request: SendRequest, sourceHost = 'src'): JobContext {
  const context = jobContextOf(sourceHost, request);
  if (isRefusal(context)) throw ZpsendError.fromBody(context.error);
  return context;
}

type Tail<T> = T extends (first: never, ...rest: infer R) => unknown ? R : never;

/** The planner, for a request that may not be valid. */
export function plan(request: SendRequest, ...rest: Tail<typeof planner.plan>): ReturnType<typeof planner.plan> {
  const context = jobContextOf(rest[0].host, request);
  return isRefusal(context) ? context : planner.plan(context, ...rest);
}

export function planDatasets(
  request: SendRequest,
  ...rest: Tail<typeof planner.planDatasets>
): ReturnType<typeof planner.planDatasets> {
  const context = jobContextOf(rest[0].host, request);
  return isRefusal(context) ? context : planner.planDatasets(context, ...rest);
}
