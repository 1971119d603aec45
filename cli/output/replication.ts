import type { StoredStatus } from '../../lib/bus/status/read.ts';
import { type StatusPlace, statusKey } from '../../lib/bus/subjects.ts';
import type { FleetRow } from '../../schemas/status.ts';
import { bytes, counted, duration, errorCell, rate } from './format.ts';
import { judge } from './replication-state.ts';
import { type Column, table } from './table.ts';

/**
 * A stored entry as a row.
 * @param now ms since the epoch, by the same clock as `stored`
 * @param stale seconds after which a row is stale; undefined for each entry's interval
 */
export function fleetRow({ entry, revision, stored, ...place }: StoredStatus, now: number, stale?: number): FleetRow {
  const judged = judge(entry, Math.max(0, (now - stored) / 1000), stale);
  return { ...place, key: statusKey(place), ...entry, revision, ...judged };
}

/** `HOST`, or `HOST:DATASET` if the dataset has another name there. */
export const targetOf = ({ target, into, dataset }: StatusPlace): string =>
  into === dataset ? target : `${target}:${into}`;

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
  { title: 'AS OF', value: ({ listedAge }) => `${duration(listedAge)} ago`, right: true },
  { title: 'ERROR', value: ({ error }) => errorCell(error) },
];

/** Rows that need attention come first. */
const urgency: Partial<Record<FleetRow['state'], number>> = { failed: 0, stale: 1, silent: 2 };
const urgencyOf = ({ state }: FleetRow): number => urgency[state] ?? 3;

const inOrder = (one: FleetRow, other: FleetRow): number => {
  const [a, b] = [one, other].map((row) => [row.source, row.dataset, row.target, row.into].join('\n'));
  return urgencyOf(one) - urgencyOf(other) || ((a ?? '') < (b ?? '') ? -1 : 1);
};

/** Failed, stale and silent rows, then the others; each group by name. */
export const sortRows = (rows: readonly FleetRow[]): FleetRow[] => rows.toSorted(inOrder);

export const fleetLines = (rows: readonly FleetRow[]): string[] => table(columns, sortRows(rows));

/** `12 replications: 10 current, 1 running, 1 failed` */
export function summaryOf(rows: readonly FleetRow[]): string {
  const counts = [...Map.groupBy(rows, ({ state }) => state)].map(([state, { length }]) => ({ state, length }));
  const most = counts.toSorted((one, other) => other.length - one.length);
  return `${counted(rows.length, 'replication')}: ${most.map(({ state, length }) => `${length} ${state}`).join(', ')}`;
}
