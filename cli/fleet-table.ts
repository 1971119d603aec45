import type { StoredStatus } from '../lib/bus/status/read.ts';
import { type StatusPlace, statusKey } from '../lib/bus/subjects.ts';
import type { FleetRow, StatusEntry } from '../schemas/status.ts';
import { bytes, duration, errorCell, rate } from './format.ts';
import { type Column, table } from './table.ts';

/** Who runs says so every two seconds; after so many of silence, its sender has died or has lost NATS. */
export const silentAfter = 30;

/** @param age seconds since it was written */
function stateOf({ run, lag, newest, stored }: StatusEntry, age: number): FleetRow['state'] {
  if (run?.state === 'running' || run?.state === 'waiting') return age > silentAfter ? 'silent' : run.state;
  if (run?.state === 'failed') return 'failed';
  if (lag?.snapshots === 0) return 'current';
  return stored && stored.guid === newest?.guid ? 'stored' : 'behind';
}

/** @param now milliseconds since the epoch, by the clock that `stored` is of */
export function fleetRow({ entry, revision, stored, ...place }: StoredStatus, now: number): FleetRow {
  const age = Math.max(0, (now - stored) / 1000);
  return { ...place, key: statusKey(place), ...entry, revision, age, state: stateOf(entry, age) };
}

const targetOf = ({ target, into, dataset }: StatusPlace): string => (into === dataset ? target : `${target}:${into}`);

/** How long ago the source was listed, in seconds: no two clocks are compared. */
const factsAge = ({ age, written, listed = written }: FleetRow): number =>
  age + Math.max(0, (Date.parse(written) - Date.parse(listed)) / 1000);

const isBehind = ({ lag }: FleetRow): boolean => lag !== undefined && lag.snapshots > 0;

const columns: Column<FleetRow>[] = [
  { title: 'SOURCE', value: ({ source }) => source },
  { title: 'DATASET', value: ({ dataset }) => dataset },
  { title: 'TARGET', value: targetOf },
  { title: 'NEWEST SENT', value: ({ sent }) => (sent ? `@${sent.name}` : '-') },
  { title: 'LAG', value: ({ lag }) => (lag ? String(lag.snapshots) : '-'), right: true },
  { title: 'BYTES', value: (row) => (row.lag && isBehind(row) ? bytes(row.lag.bytes) : '-'), right: true },
  {
    title: 'TIME',
    value: (row) => (row.lag?.seconds !== undefined && isBehind(row) ? duration(row.lag.seconds) : '-'),
    right: true,
  },
  { title: 'STATE', value: ({ state }) => state },
  { title: 'RATE', value: ({ state, run }) => rate(state === 'running' ? run?.rate : undefined), right: true },
  { title: 'AS OF', value: (row) => `${duration(factsAge(row))} ago`, right: true },
  { title: 'ERROR', value: ({ error }) => errorCell(error) },
];

const inOrder = (one: FleetRow, other: FleetRow): number => {
  const [a, b] = [one, other].map((row) => [row.source, row.dataset, row.target, row.into].join('\n'));
  return (a ?? '') < (b ?? '') ? -1 : 1;
};

export const fleetLines = (rows: readonly FleetRow[]): string[] => table(columns, rows.toSorted(inOrder));
