import { ZpsendError } from '../../../schemas/errors.ts';
import { datasetOf, leafOf } from '../../../schemas/names.ts';
import type { SendRequest, SendStart } from '../../../schemas/request.ts';
import { isRefusal, type Refusal } from '../refusal.ts';
import type { JobContext } from './job-context.ts';
import { targetDatasetOf } from './target-name.ts';
import { assertNoOverlap } from './target-overlap.ts';
import { requestFault } from './validate-request.ts';

/** What a request names, valid or not. */
export const unvalidatedContextOf = (sourceHost: string, request: SendRequest): JobContext => ({
  sourceHost,
  targetHost: request.to.host,
  sourceDataset: datasetOf(request.dataset),
  targetDataset: targetDatasetOf(request),
  isRecursive: request.package !== undefined,
  snapshot: leafOf(request.dataset),
  request,
});

/** A request that is validated, or why it is invalid for any datasets. */
export function jobContextOf(sourceHost: string, request: SendRequest): JobContext | Refusal {
  const context = unvalidatedContextOf(sourceHost, request);
  return requestFault(context) ?? context;
}

/**
 * The same for requests that are carried out together.
 * @throws ZpsendError BAD_REQUEST for the first that is not valid, and for targets that overlap
 */
export function jobContextsOf(sourceHost: string, requests: readonly SendRequest[]): JobContext[] {
  const contexts = requests.map((request) => {
    const context = jobContextOf(sourceHost, request);
    if (isRefusal(context)) throw ZpsendError.fromBody(context.error);
    return context;
  });
  assertNoOverlap(contexts);
  return contexts;
}

/** One request for each target. */
export const requestPerTarget = ({ to, ...what }: SendStart): SendRequest[] =>
  [to].flat().map((target) => ({ ...what, to: target }));
