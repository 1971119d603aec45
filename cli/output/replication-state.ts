import type { FleetRow, StatusEntry } from '../../schemas/status.ts';

/** Seconds. A sender writes the state of a running job every two; after this silence it is dead, or lost NATS. */
const silentAfter = 30;
/** Seconds, if neither the entry nor the command has an interval: a day, and two hours for a late cron job. */
const staleByDefault = 26 * 3600;
/** Seconds. A sender service may miss one listing, and be this late with the next. */
const grace = 60;

const staleAfterOf = ({ reconcileSeconds }: StatusEntry): number =>
  reconcileSeconds === undefined ? staleByDefault : 2 * reconcileSeconds + grace;

/**
 * The state of an entry, for a reader.
 * @param age seconds since it was written
 * @param stale seconds after which it is stale, in place of the entry's interval
 */
export function judge(
  entry: StatusEntry,
  age: number,
  stale?: number,
): Pick<FleetRow, 'age' | 'listedAge' | 'staleAfter' | 'state'> {
  const { written, listed = written } = entry;
  // both times are by the source's clock
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
