import { describe, expect, test } from 'vitest';
import { parseDuration } from '../../../../cli/args/duration.ts';
import { checkOf } from '../../../../cli/commands/status/check.ts';
import { type FleetFilter, isShown, parseFilter, statesIn } from '../../../../cli/commands/status/filter.ts';
import { fleetLines, fleetRow, summaryOf } from '../../../../cli/output/replication.ts';
import type { StoredStatus } from '../../../../lib/bus/status/read.ts';
import { ZpsendError } from '../../../../schemas/errors.ts';
import { fleetRowSchema, type StatusEntry, type StatusRun } from '../../../../schemas/status.ts';
import { mentions } from '../../../support/mentions.ts';

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
  test('has a row for each dataset and target, failed and stale ones first, in order of their names', () => {
    expect(
      lines(
        stored(current, { source: 'smos-02', dataset: 'zones/my data:1.0', into: 'tank/my data:1.0' }),
        stored({}),
        stored({ ...current, run: { ...run, state: 'running', rate: 1_163_919 } }, { dataset: 'a' }, 1),
        stored({ error, run: { ...run, state: 'failed' } }, { target: 'dr-1' }),
        stored({}, { target: 'dr-2' }, 90_000 + hour),
      ),
    ).toEqual([
      'SOURCE   DATASET            TARGET                    NEWEST SENT  LAG  BYTES   TIME  STATE       RATE      AS OF  ERROR',
      'smos-01  zones/test         dr-1                      @a             2     3M  2h00m  failed         -  2m00s ago  NO_SPACE: no room on tank',
      'smos-01  zones/test         dr-2                      @a             2     3M  2h00m  stale          -  1d02h ago  -',
      'smos-01  a                  smos-00:zones/test        @c             0      -      -  running  1.11M/s  1m01s ago  -',
      'smos-01  zones/test         smos-00                   @a             2     3M  2h00m  behind         -  2m00s ago  -',
      'smos-02  zones/my data:1.0  smos-00:tank/my data:1.0  @c             0      -      -  current        -  2m00s ago  -',
    ]);
  });

  test('has dashes for unknown values, and the beginning of a long error', () => {
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

  const day = 24 * hour;
  const tenMinutes = { ...current, reconcileSeconds: 600 };
  // listed a minute before it was written
  test.each<[string, string, Partial<StatusEntry>, number, number | undefined]>([
    ['after 26 h without an interval', 'stale', current, 26 * hour, undefined],
    ['and not before', 'current', current, 26 * hour - 61, undefined],
    ['after twice the interval of a sender service, and a minute', 'stale', tenMinutes, 1201, undefined],
    ['and not before', 'current', tenMinutes, 1199, undefined],
    ['after --stale', 'current', tenMinutes, 1200, 2 * hour],
    ['after --stale', 'stale', tenMinutes, 600, 300],
    ['that is behind too', 'stale', {}, 3 * day, undefined],
    ['that waits in the store too', 'stale', { stored: entry.newest }, 3 * day, undefined],
    ['but not one that failed', 'failed', { run: { ...run, state: 'failed' } }, 3 * day, undefined],
    ['nor one that was running', 'silent', running, 3 * day, undefined],
    ['nor one that runs, listed long ago', 'running', { ...running, listed: '2023-12-01T00:00:00.000Z' }, 5, undefined],
    [
      'by when the source was listed, not by when it was written',
      'stale',
      { listed: '2023-12-01T00:00:00.000Z' },
      5,
      600,
    ],
    ['by when it was written, where the source was never listed', 'stale', { listed: undefined }, 601, 600],
  ])('is stale %s: %s', (_, state, more, age, stale) => {
    const row = fleetRow(stored(more, {}, age), now, stale);
    expect(fleetRowSchema.parse(row)).toMatchObject({ state });
  });

  test('has no negative age if a clock is ahead', () => {
    expect(fleetRow(stored({}, {}, -5), now).age).toBe(0);
  });
});

describe('a check for a monitoring system', () => {
  const failed = { error: { ...error, message: 'no room | on\ntank' }, run: { ...run, state: 'failed' as const } };
  const running = { run: { ...run, state: 'running' as const } };
  const rowsOf = (...all: StoredStatus[]) => all.map((one) => fleetRow(one, now));
  test.each<[string, number, string, StoredStatus[]]>([
    [
      'all is current or behind',
      0,
      'OK: 2 replications, 1 behind, 1 current',
      [stored({}), stored(current, { target: 'x' })],
    ],
    [
      'one is stale',
      1,
      'WARNING: 2 replications, 1 stale, 1 current; smos-01:zones/test to dr-1:tank/x: the source was not listed for 2d00h',
      [stored(current), stored(current, { target: 'dr-1', into: 'tank/x' }, 2 * 86_400)],
    ],
    [
      'a sender is silent',
      1,
      'WARNING: 1 replication, 1 silent; smos-01:zones/test to smos-00: the sender has written nothing for 5m00s',
      [stored(running, {}, 300)],
    ],
    [
      'one has failed and others are stale',
      2,
      'CRITICAL: 3 replications, 1 failed, 1 stale, 1 current; smos-01:zones/test to z failed: NO_SPACE: no room / on tank',
      [stored(current), stored({}, { target: 'a' }, 2 * 86_400), stored(failed, { target: 'z' })],
    ],
    ['there is none', 3, 'UNKNOWN: no replication is recorded', []],
  ])('%s: exit status %d', (_, exit, line, all) => {
    expect(checkOf(rowsOf(...all))).toEqual({ exit, line: `ZPSEND ${line}` });
  });
});

describe('a filter', () => {
  const row = {
    source: 'smos-01',
    dataset: 'zones/vm/a',
    target: 'dr-1',
    into: 'tank/vm/a',
    state: 'current' as const,
  };
  test.each<[string, boolean]>([
    ['smos-01', true],
    ['dr-1', true],
    ['smos-02', false],
    ['zones/vm', true],
    ['zones/v', false],
    ['tank/vm/a', true],
    [':zones', true],
    [':tank', true],
    ['zones/*', false],
    ['zones/**', true],
    ['*/vm/a', true],
    ['smos-01:zones/vm', true],
    ['smos-01:zones', true],
    ['dr-1:tank/*/a', true],
    ['dr-1:zones/vm', false],
    ['smos-01:tank/vm', false],
  ])('%s shows a row or not: %s', (text, is) => expect(isShown(parseFilter(text), row)).toBe(is));

  test.each<[FleetFilter, boolean]>([
    [{}, true],
    [{ source: 'smos-01' }, true],
    [{ source: 'dr-1' }, false],
    [{ target: 'dr-1' }, true],
    [{ target: 'smos-01' }, false],
    [{ states: statesIn('failed,current') }, true],
    [{ states: ['failed'] }, false],
    [{ source: 'smos-01', target: 'dr-1', states: ['current'], ...parseFilter('zones/vm') }, true],
    [{ source: 'smos-01', ...parseFilter('zones/other') }, false],
  ])('%j shows a row or not: %s', (filter, is) => expect(isShown(filter, row)).toBe(is));

  test.each(['', 'fialed', 'failed,', 'failed, stale'])('the states %j are refused', (text) => {
    expect(() => statesIn(text)).toThrow('allowed choices are running');
  });

  test.each(['/zones/x', 'smos-01:zones/x/', 'a.b', 'a.b:zones/x', 'zones/x@s', 'zones/x#s', 'smos-01:', 'zones/ä'])(
    '%s is refused',
    (text) => {
      expect(() => parseFilter(text)).toThrow(ZpsendError);
    },
  );
});

test('the summary counts the rows of each state, the most frequent first', () => {
  const rows = [stored(current), stored({}), stored(current), stored({ error, run: { ...run, state: 'failed' } })];
  expect(summaryOf(rows.map((one) => fleetRow(one, now)))).toBe('4 replications: 2 current, 1 behind, 1 failed');
  expect(summaryOf([fleetRow(stored(current), now)])).toBe('1 replication: 1 current');
});

describe('a duration', () => {
  test.each<[string, number]>([
    ['90s', 90],
    ['30m', 1800],
    ['26h', 93_600],
    ['2h30m', 9000],
    ['7d', 604_800],
  ])('%s is %d seconds', (text, seconds) => expect(parseDuration('--stale', text)).toBe(seconds));
  test.each(['', '26', 'h', '1w', '-1h', '30m2h'])('%j is refused', (text) => {
    expect(() => parseDuration('--stale', text)).toThrow(
      expect.objectContaining({ code: 'BAD_REQUEST', message: mentions('--stale', '90s', '7d') }),
    );
  });
});
