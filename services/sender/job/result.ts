import type { ErrorBody } from '../../../schemas/errors.ts';
import type { Job } from '../../../schemas/job.ts';
import type { Evidence } from '../../../schemas/plan.ts';
import type { ChainPhase } from '../replication/chain-state.ts';

/** How a dataset failed. */
export interface Failure {
  readonly dataset: string;
  readonly error: ErrorBody;
  readonly evidence?: Evidence | undefined;
}

/** The state of a job whose chains run: it is waiting or planning only while none of them makes progress. */
export function stateOf(phases: Iterable<ChainPhase>): Extract<Job['state'], 'planning' | 'running' | 'waiting'> {
  const all = [...phases];
  if (all.length === 0 || all.some((phase) => phase !== 'waiting' && phase !== 'planning')) return 'running';
  return all.includes('planning') ? 'planning' : 'waiting';
}

/**
 * The error of a job of which some datasets failed. For one dataset it is that dataset's; for a package it says how many
 * failed, with the code of the first.
 */
export function failureOf(
  { total, failed }: { readonly total: number; readonly failed: number },
  { dataset, error, evidence }: Failure,
): { error: ErrorBody; evidence?: Evidence } {
  if (total === 1) return { error, ...(evidence && { evidence }) };
  const message = `${failed} of ${total} datasets failed; the first, ${dataset}: ${error.message}`;
  return { error: { ...error, message: message.slice(0, 8192) } };
}
