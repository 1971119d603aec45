import type { Clock } from '../../../lib/time/clock.ts';
import { timing } from '../../../lib/time/timing.ts';

/**
 * The snapshots that this instance has just verified on the target: dataset to the guid of its newest snapshot. The next step of a chain need not
 * inspect the target again, which saves a `zfs list`. If the target has changed since, `zfs receive` refuses.
 */
export interface RecentlyVerified {
  add(targetDataset: string, guid: string): void;
  delete(targetDataset: string): void;
  isNewest(targetDataset: string, guid: string | undefined): boolean;
}

export function openRecentlyVerified(clock: Pick<Clock, 'now'>): RecentlyVerified {
  const newest = new Map<string, { guid: string; at: number }>();
  const isFresh = ({ at }: { at: number }): boolean => clock.now() - at <= timing.receive.verifiedMs;
  return {
    add(targetDataset, guid) {
      for (const [name, verified] of newest) if (!isFresh(verified)) newest.delete(name);
      newest.set(targetDataset, { guid, at: clock.now() });
    },
    delete: (targetDataset) => void newest.delete(targetDataset),
    isNewest(targetDataset, guid) {
      const verified = newest.get(targetDataset);
      return verified !== undefined && verified.guid === guid && isFresh(verified);
    },
  };
}
