import type { DatasetEntry } from '../../../schemas/inventory.ts';
import type { StatusEntry } from '../../../schemas/status.ts';
import { lagged } from './dataset-status.ts';
import { lagFactsSince, storedUpTo } from './lag.ts';

/** An entry with its writer's interval between listings, which replaces that of another sender. */
export function expecting(entry: StatusEntry, reconcileSeconds: number | undefined): StatusEntry {
  const { reconcileSeconds: _, ...others } = entry;
  return { ...others, ...(reconcileSeconds !== undefined && { reconcileSeconds }) };
}

/**
 * Must a sender service list the source again? Not of a running dataset: its job writes the entry, and a new time would make a silent one
 * look alive.
 * @param every seconds; @param now milliseconds since the epoch, by the source's clock
 */
export function isDue({ run, listed, reconcileSeconds }: StatusEntry, every: number, now: number): boolean {
  if (run?.state === 'running' || run?.state === 'waiting') return false;
  if (listed === undefined || reconcileSeconds !== every) return true;
  // several senders of a host need one listing; a clock may have been set back
  return Math.abs(now - Date.parse(listed)) >= (every * 1000) / 2;
}

/** An entry after its source, and not its target, was listed again: with a new lag. */
export function refreshed(before: StatusEntry, source: DatasetEntry, every: number, now: number): StatusEntry {
  const { sent, stored, newest: _, lag: __, ...others } = before;
  const facts = storedUpTo(lagFactsSince(source, sent, now), stored?.guid);
  return expecting({ ...others, ...lagged(facts, now) }, every);
}
