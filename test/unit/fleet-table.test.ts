import { describe, expect, test } from 'vitest';
import { fleetLines, fleetRow } from '../../cli/fleet-table.ts';
import type { StoredStatus } from '../../lib/bus/status/read.ts';
import { fleetRowSchema, type StatusEntry, type StatusRun } from '../../schemas/status.ts';

const now = Date.parse('2030-01-01T00:00:00Z');
const run: StatusRun = {
  ...{ job: 'abcdef123456', instance: 'abcdef654321', state: 'done', done: 1, bytes: 2048, seconds: 2 },
};
const hour = 3600;
/** Written by a host whose clock is years behind the server's. */
const entry: StatusEntry = {
  sent: { name: 'a', guid: '1', creation: 1_000_000 },
  newest: { name: 'c', guid: '3', creation: 1_000_000 + 2 * hour },
  lag: { snapshots: 2, bytes: 3 * 2 ** 20, seconds: 2 * hour },
  listed: '2024-01-01T00:00:00.000Z',
  run,
  written: '2024-01-01T00:01:00.000Z',
};
const current = { sent: entry.newest, lag: { snapshots: 0, bytes: 0, seconds: 0 } };
const error = { code: 'NO_SPACE' as const, message: 'no room\n  on tank', retryable: false };

/** @param age seconds since the server stored it */
const stored = (more: Partial<StatusEntry>, place: Partial<StoredStatus> = {}, age = 60): StoredStatus => ({
  ...{ source: 'smos-01', dataset: 'zones/test', target: 'smos-00', into: 'zones/test', revision: 7 },
  entry: { ...entry, ...more },
  stored: now - age * 1000,
  ...place,
});
const lines = (...all: StoredStatus[]): string[] => fleetLines(all.map((one) => fleetRow(one, now)));

describe('the table of the fleet', () => {
  test('has a row for each dataset and target, in order of their names', () => {
    expect(
      lines(
        stored(current, { source: 'smos-02', dataset: 'zones/my data:1.0', into: 'tank/my data:1.0' }),
        stored({}),
        stored({ ...current, run: { ...run, state: 'running', rate: 1_163_919 } }, { dataset: 'a' }, 1),
        stored({ error, run: { ...run, state: 'failed' } }, { target: 'dr-1' }),
      ),
    ).toEqual([
      'SOURCE   DATASET            TARGET                    NEWEST SENT  LAG  BYTES   TIME  STATE       RATE      AS OF  ERROR',
      'smos-01  a                  smos-00:zones/test        @c             0      -      -  running  1.11M/s  1m01s ago  -',
      'smos-01  zones/test         dr-1                      @a             2     3M  2h00m  failed         -  2m00s ago  NO_SPACE: no room on tank',
      'smos-01  zones/test         smos-00                   @a             2     3M  2h00m  behind         -  2m00s ago  -',
      'smos-02  zones/my data:1.0  smos-00:tank/my data:1.0  @c             0      -      -  current        -  2m00s ago  -',
    ]);
  });

  test('shows dashes for what is not known, and the beginning of a long error', () => {
    const bare: StoredStatus = {
      ...stored({}),
      entry: {
        error: { ...error, message: 'x'.repeat(500) },
        run: { ...run, state: 'failed' },
        written: entry.written,
      },
    };
    const [, row = ''] = lines(bare);
    expect(row).toMatch(/smos-00 +- +- +- +- +failed +- +1m00s ago {2}NO_SPACE: x+\.\.\.$/);
    expect(row.length).toBeLessThan(200);
  });

  test('without rows is nothing', () => expect(lines()).toEqual([]));
});

describe('the state of a row', () => {
  const running = { run: { ...run, state: 'running' as const } };
  const waiting = { run: { ...run, state: 'waiting' as const } };
  test.each<[string, Partial<StatusEntry>, number]>([
    ['running', running, 29],
    ['waiting', waiting, 29],
    ['silent', running, 31],
    ['silent', waiting, 3600],
    ['failed', { run: { ...run, state: 'failed' } }, 3600],
    ['behind', {}, 3600],
    ['behind', { stored: { name: 'older', guid: '1' } }, 3600],
    ['stored', { stored: entry.newest }, 3600],
    ['current', current, 3600],
  ])('is %s', (state, more, age) => {
    const row = fleetRow(stored(more, {}, age), now);
    expect(fleetRowSchema.parse(row)).toMatchObject({ state, age, key: 'smos-01.to.smos-00.zones/test' });
  });

  test('of an entry that a clock puts into the future has no age below zero', () => {
    expect(fleetRow(stored({}, {}, -5), now).age).toBe(0);
  });
});
