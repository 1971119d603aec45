/** Plans for one target at once. */
const atOnce = 4;

/** @returns what the work does, once it is its turn */
export type PlanTurns = <T>(targetHost: string, work: () => Promise<T>) => Promise<T>;

/**
 * Lets plans for one target take turns, since each lists both sides: the listings of many jobs at once would keep each other waiting until they
 * count as silent, are asked for again, and make it worse. Plans for another target do not wait for these.
 */
export function openPlanTurns(): PlanTurns {
  const targets = new Map<string, { running: number; readonly waiting: (() => void)[] }>();
  return async (targetHost, work) => {
    const target = targets.get(targetHost) ?? { running: 0, waiting: [] };
    targets.set(targetHost, target);
    // who waits gets the place of one that has ended
    if (target.running >= atOnce) await new Promise<void>((resolve) => target.waiting.push(resolve));
    else target.running += 1;
    try {
      return await work();
    } finally {
      const next = target.waiting.shift();
      if (next) next();
      else target.running -= 1;
      if (target.running === 0) targets.delete(targetHost);
    }
  };
}
