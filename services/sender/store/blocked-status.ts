import { timing } from '../../../lib/time/timing.ts';
import type { Held } from '../reporting/store-blocked.ts';

/**
 * Tells what is held: at first, then now and again, and at once that nothing is any more.
 * @returns a look at all that is held now, which throws what telling failed with; that is told again at the next
 */
export function openBlockedStatus(tell: (held: readonly Held[]) => Promise<void>) {
  let saysNothing = false;
  let at = Number.NEGATIVE_INFINITY;
  return async (held: readonly Held[], now = performance.now()): Promise<void> => {
    const isNothing = held.length === 0;
    if (isNothing ? saysNothing : now - at < timing.maintenance.blockedMs) return;
    await tell(held);
    saysNothing = isNothing;
    if (!isNothing) at = now;
  };
}
