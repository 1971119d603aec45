import { ZpsendError } from '../../../schemas/errors.ts';
import { isWithin } from '../../../schemas/names.ts';
import type { SendRequest } from '../../../schemas/plan.ts';
import { targetRoot } from './target-name.ts';

/** @throws ZpsendError BAD_REQUEST if two requests would write into the same datasets */
export function assertNoOverlap(requests: readonly SendRequest[]): void {
  for (const [at, request] of requests.entries()) {
    const other = requests.slice(at + 1).find((later) => overlap(later, request));
    if (!other) continue;
    const [one, two] = [targetRoot(request), targetRoot(other)];
    throw new ZpsendError(
      'BAD_REQUEST',
      one === two
        ? `the request names the target ${one} on ${request.to.host} twice`
        : `the targets ${one} and ${two} on ${request.to.host} overlap: send to them one after the other, or choose another target`,
      { host: request.to.host, dataset: one },
    );
  }
}

function overlap(a: SendRequest, b: SendRequest): boolean {
  if (a.to.host !== b.to.host) return false;
  const [one, two] = [targetRoot(a), targetRoot(b)];
  return one === two || (a.package !== undefined && (isWithin(one, two) || isWithin(two, one)));
}
