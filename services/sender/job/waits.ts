import type { ErrorBody } from '../../../schemas/errors.ts';
import type { Wait } from '../../../schemas/job.ts';
import type { RunningChain } from '../replication/chain.ts';
import { wallClock } from '../reporting/wall-clock.ts';

/** The error that is waited for, and until when, in monotonic ms. */
export interface Waits {
  readonly error: ErrorBody;
  readonly until: number | undefined;
}

/** The wait of the first waiting chain. */
export function waitOf(running: readonly RunningChain[]): Waits | undefined {
  const first = running.find(({ waiting }) => waiting);
  return first?.waiting && { error: first.waiting, until: first.waitsUntil };
}

/** The same as a job reports it, by the wall clock. */
export const asWait = ({ error: { code, message }, until }: Waits): Wait => ({
  code,
  message,
  ...(until !== undefined && { until: wallClock(until) }),
});
