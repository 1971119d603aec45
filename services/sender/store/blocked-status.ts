import type { Clock } from '../../../lib/time/clock.ts';
import { timing } from '../../../lib/time/timing.ts';
import type { BlockedStream } from '../reporting/store-blocked.ts';

/**
 * Reports blocked streams: at the start, repeatedly while there are any, and at once when there are none left.
 * @returns a function that is given all blocked streams of each round, and throws the error of reporting; the next round repeats it
 */
export function openBlockedStatus(
  report: (blocked: readonly BlockedStream[]) => Promise<void>,
  clock: Pick<Clock, 'now'>,
) {
  let hasReportedNone = false;
  let at = Number.NEGATIVE_INFINITY;
  return async (blocked: readonly BlockedStream[]): Promise<void> => {
    const now = clock.now();
    const isNone = blocked.length === 0;
    if (isNone ? hasReportedNone : now - at < timing.maintenance.blockedMs) return;
    await report(blocked);
    hasReportedNone = isNone;
    if (!isNone) at = now;
  };
}
