import { timing } from '../../../lib/time/timing.ts';

/**
 * What this instance has just verified on the target: dataset to the guid of its newest snapshot. The next step of a
 * chain need not look again, which saves one `zfs list` a step; should the target have changed since, `zfs receive` refuses.
 */
export interface Arrivals {
  note(dataset: string, guid: string): void;
  forget(dataset: string): void;
  isNewest(dataset: string, guid: string | undefined): boolean;
}

export function openArrivals(now: () => number = () => performance.now()): Arrivals {
  const newest = new Map<string, { guid: string; at: number }>();
  return {
    note(dataset, guid) {
      for (const [name, arrival] of newest) if (now() - arrival.at > timing.receive.verifiedMs) newest.delete(name);
      newest.set(dataset, { guid, at: now() });
    },
    forget: (dataset) => void newest.delete(dataset),
    isNewest(dataset, guid) {
      const arrival = newest.get(dataset);
      return arrival !== undefined && arrival.guid === guid && now() - arrival.at <= timing.receive.verifiedMs;
    },
  };
}
