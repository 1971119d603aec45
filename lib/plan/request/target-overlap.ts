import { ZpsendError } from '../../../schemas/errors.ts';
import { isWithin } from '../../../schemas/names.ts';
import type { JobContext } from './job-context.ts';

/** @throws ZpsendError BAD_REQUEST if two jobs would write into the same datasets */
export function assertNoOverlap(contexts: readonly JobContext[]): void {
  for (const [at, context] of contexts.entries()) {
    const other = contexts.slice(at + 1).find((later) => overlap(later, context));
    if (!other) continue;
    const { targetHost: host, targetDataset: one } = context;
    const { targetDataset: two } = other;
    throw new ZpsendError(
      'BAD_REQUEST',
      one === two
        ? `the request names the target ${one} on ${host} twice: name it once`
        : `the targets ${one} and ${two} on ${host} overlap: send to them one after the other, or choose another target`,
      { host, dataset: one },
    );
  }
}

function overlap(a: JobContext, b: JobContext): boolean {
  if (a.targetHost !== b.targetHost) return false;
  const [one, two] = [a.targetDataset, b.targetDataset];
  return one === two || (a.isRecursive && (isWithin(one, two) || isWithin(two, one)));
}
