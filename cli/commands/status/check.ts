import type { FleetRow } from '../../../schemas/status.ts';
import { counted, duration, errorCell } from '../../output/format.ts';
import { sortRows, targetOf } from '../../output/replication.ts';

/** The exit statuses of a monitoring plugin (Nagios, Icinga). */
export const outcomes = { OK: 0, WARNING: 1, CRITICAL: 2, UNKNOWN: 3 } as const;

/** What each of them means, for docs/reference/exit-codes.md. */
export const outcomeMeanings: Readonly<Record<keyof typeof outcomes, string>> = {
  OK: 'No row is failed, stale or silent.',
  WARNING: 'Some rows are stale or silent.',
  CRITICAL: 'Some rows are failed.',
  UNKNOWN: 'No replication is recorded, or the state could not be read.',
};

/** The output line and the exit status of a check. */
export interface Check {
  readonly exit: number;
  readonly line: string;
}

/** For a monitoring system, figures follow a `|`. */
const check = (outcome: keyof typeof outcomes, text: string): Check => ({
  exit: outcomes[outcome],
  line: `ZPSEND ${outcome}: ${text.replace(/\s+/g, ' ').replaceAll('|', '/')}`,
});

/** The state could not be read. */
export const unknown = (why: string): Check => check('UNKNOWN', why);

const severity: Partial<Record<FleetRow['state'], 'WARNING' | 'CRITICAL'>> = {
  failed: 'CRITICAL',
  stale: 'WARNING',
  silent: 'WARNING',
};

/** CRITICAL for failed rows, WARNING for stale and silent ones, UNKNOWN without rows. */
export function checkOf(rows: readonly FleetRow[]): Check {
  const [worst, ...others] = sortRows(rows);
  if (!worst) return unknown('no replication is recorded');
  const counts = Map.groupBy([worst, ...others], ({ state }) => state);
  const text = [
    counted(rows.length, 'replication'),
    ...[...counts].map(([state, { length }]) => `${length} ${state}`),
  ].join(', ');
  const outcome = severity[worst.state];
  return outcome ? check(outcome, `${text}; ${textOf(worst)}`) : check('OK', text);
}

function textOf(row: FleetRow): string {
  const { source, dataset, state, error, listedAge, age } = row;
  const what = `${source}:${dataset} to ${targetOf(row)}`;
  if (state === 'stale') return `${what}: the source was not listed for ${duration(listedAge)}`;
  if (state === 'silent') return `${what}: the sender has written nothing for ${duration(age)}`;
  return `${what} ${state}: ${errorCell(error)}`;
}
