import type { DatasetEntry } from '../../../schemas/inventory.ts';
import type { StatusEntry } from '../../../schemas/status.ts';
import { lagged } from './dataset-status.ts';
import { lagFactsSince, storedUpTo } from './lag.ts';

/** An entry with how often its writer lists the source again, whatever another sender has said of that. */
export function expecting(entry: StatusEntry, reconcileSeconds: number | undefined): StatusEntry {
  const { reconcileSeconds: _, ...others } = entry;
  return { ...others, ...(reconcileSeconds !== undefined && { reconcileSeconds }) };
}

/**
 * Has a resident sender to list the source again? What runs is written by its job, and of a silent one a new time of writing would make a
 * running one.
 * @param now milliseconds since the epoch, by the source's clock
 */
export function isDue({ run, listed, reconcileSeconds }: StatusEntry, every: number, now: number): boolean {
  if (run?.state === 'running' || run?.state === 'waiting') return false;
  if (listed === undefined || reconcileSeconds !== every) return true;
  // several senders of a host need one listing; a clock may have been set back
  return Math.abs(now - Date.parse(listed)) >= (every * 1000) / 2;
}

/** An entry after its source was listed again, its target not having been asked: with another lag, and what is known otherwise. */
export function refreshed(before: StatusEntry, source: DatasetEntry, every: number, now: number): StatusEntry {
  const { sent, stored, newest: _, lag: __, ...others } = before;
  const facts = storedUpTo(lagFactsSince(source, sent, now), stored?.guid);
  return expecting({ ...others, ...lagged(facts, now) }, every);
}
