import type { FleetRow } from '../../../schemas/status.ts';
import { counted, duration, errorCell } from '../../output/format.ts';
import { sortRows, targetOf } from '../../output/replication.ts';

/** The exit statuses of a monitoring plugin (Nagios, Icinga). */
const outcomes = { OK: 0, WARNING: 1, CRITICAL: 2, UNKNOWN: 3 } as const;

/** What a check prints and exits with. */
export interface Check {
  readonly exit: number;
  readonly line: string;
}

/** A monitoring system takes what follows a `|` for figures. */
const check = (outcome: keyof typeof outcomes, text: string): Check => ({
  exit: outcomes[outcome],
  line: `ZPSEND ${outcome}: ${text.replace(/\s+/g, ' ').replaceAll('|', '/')}`,
});

/** What could not be looked at. */
export const unknown = (why: string): Check => check('UNKNOWN', why);

const gravity: Partial<Record<FleetRow['state'], 'WARNING' | 'CRITICAL'>> = {
  failed: 'CRITICAL',
  stale: 'WARNING',
  silent: 'WARNING',
};

/** Failed rows are critical, stale and silent ones a warning; without any row nothing is known. */
export function checkOf(rows: readonly FleetRow[]): Check {
  const [worst, ...others] = sortRows(rows);
  if (!worst) return unknown('no replication is known');
  const counts = Map.groupBy([worst, ...others], ({ state }) => state);
  const text = [
    counted(rows.length, 'replication'),
    ...[...counts].map(([state, { length }]) => `${length} ${state}`),
  ].join(', ');
  const outcome = gravity[worst.state];
  return outcome ? check(outcome, `${text}; ${inWords(worst)}`) : check('OK', text);
}

function inWords(row: FleetRow): string {
  const { source, dataset, state, error, listedAge, age } = row;
  const what = `${source}:${dataset} to ${targetOf(row)}`;
  if (state === 'stale') return `${what} was not listed for ${duration(listedAge)}`;
  if (state === 'silent') return `${what} was running, and its sender wrote nothing for ${duration(age)}`;
  return `${what} ${state}: ${errorCell(error)}`;
}
