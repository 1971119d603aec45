import type { FleetRow, StatusEntry } from '../../schemas/status.ts';

/** A sender writes what runs every two seconds; after so many seconds of silence it has died, or has lost NATS. */
const silentAfter = 30;
/** Where neither the entry nor the command says how often a source is listed: a day, and two hours for a late cron job; in seconds. */
const staleByDefault = 26 * 3600;
/** A resident sender may miss one listing, and be this late with the next, in seconds. */
const grace = 60;

const staleAfterOf = ({ reconcileSeconds }: StatusEntry): number =>
  reconcileSeconds === undefined ? staleByDefault : 2 * reconcileSeconds + grace;

/**
 * What an entry means to a reader now.
 * @param age seconds since it was written
 * @param stale seconds after which it is stale, instead of what the entry says
 */
export function judge(
  entry: StatusEntry,
  age: number,
  stale?: number,
): Pick<FleetRow, 'age' | 'listedAge' | 'staleAfter' | 'state'> {
  const { written, listed = written } = entry;
  // both times are the source's own
  const listedAge = age + Math.max(0, (Date.parse(written) - Date.parse(listed)) / 1000);
  const staleAfter = stale ?? staleAfterOf(entry);
  return { age, listedAge, staleAfter, state: stateOf(entry, age, listedAge > staleAfter) };
}

function stateOf({ run, lag, newest, stored }: StatusEntry, age: number, isStale: boolean): FleetRow['state'] {
  if (run?.state === 'running' || run?.state === 'waiting') return age > silentAfter ? 'silent' : run.state;
  if (run?.state === 'failed') return 'failed';
  if (isStale) return 'stale';
  if (lag?.snapshots === 0) return 'current';
  return stored && stored.guid === newest?.guid ? 'stored' : 'behind';
}
