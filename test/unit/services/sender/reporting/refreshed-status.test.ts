import { describe, expect, test } from 'vitest';
import type { DatasetEntry } from '../../../../../schemas/inventory.ts';
import { type StatusEntry, type StatusRun, statusEntrySchema } from '../../../../../schemas/status.ts';
import { expecting, isDue, refreshed } from '../../../../../services/sender/reporting/refreshed-status.ts';

const now = Date.parse('2026-01-02T00:00:00.000Z');
const ago = (seconds: number): string => new Date(now - seconds * 1000).toISOString();
const run: StatusRun = {
  ...{ job: 'abcdef123456', instance: 'abcdef654321', state: 'done', done: 1, bytes: 1, seconds: 1 },
};
/** With so many snapshots, an hour apart. */
const source = (count: number): DatasetEntry => ({
  ...{
    name: 'p/a',
    type: 'filesystem',
    guid: '1',
    createtxg: '1',
    used: 0,
    referenced: 0,
    written: 0,
    encryption: 'off',
  },
  snapshots: Array.from({ length: count }, (_, at) => ({
    ...{ name: `s${at + 1}`, guid: String(at + 1), createtxg: String(at + 1), used: 0, referenced: 10, written: 10 },
    ...{ userrefs: 0, creation: (at + 1) * 3600 },
  })),
  bookmarks: [],
});
const entry: StatusEntry = {
  sent: { name: 's1', guid: '1', creation: 3600 },
  newest: { name: 's1', guid: '1', creation: 3600 },
  lag: { snapshots: 0, bytes: 0, seconds: 0 },
  ...{ listed: ago(600), written: ago(600), reconcileSeconds: 600, run },
};

describe('a row that no sender sends', () => {
  test('has the lag of a new listing, and keeps the known target and its last run', () => {
    const error = { code: 'UNREACHABLE' as const, message: 'away', retryable: true };
    const failed = { ...entry, run: { ...run, state: 'failed' as const }, error };
    const after = statusEntrySchema.parse(refreshed(failed, source(3), 600, now));
    expect(after).toEqual({
      ...failed,
      ...{ newest: { name: 's3', guid: '3', creation: 10_800 }, lag: { snapshots: 2, bytes: 20, seconds: 7200 } },
      ...{ listed: ago(0), written: ago(0) },
    });
  });

  test('keeps the snapshots stored for its target, and drops a newest snapshot that was destroyed', () => {
    const stored = { ...entry, newest: { name: 's9', guid: '9' }, stored: { name: 's2', guid: '2' } };
    expect(refreshed(stored, source(2), 600, now)).toMatchObject({ stored: { name: 's2' }, newest: { name: 's2' } });
    expect(refreshed({ ...entry, newest: { name: 's9', guid: '9' } }, source(0), 600, now)).not.toHaveProperty(
      'newest',
    );
  });

  test.each<[string, boolean, Partial<StatusEntry>]>([
    ['long ago', true, {}],
    ['lately, by another sender of the host', false, { listed: ago(200) }],
    ['never', true, { listed: undefined }],
    ['by a command, of which no next listing is to be expected', true, { listed: ago(1), reconcileSeconds: undefined }],
    ['in a time to come, before the clock was set back', true, { listed: ago(-3600) }],
    ['long ago, and is being sent', false, { run: { ...run, state: 'running' } }],
    ['long ago, and a job waits with it', false, { run: { ...run, state: 'waiting' } }],
    ['long ago, and failed', true, { run: { ...run, state: 'failed' } }],
  ])('is listed again or not, if it was listed %s: %s', (_, is, more) => {
    expect(isDue({ ...entry, ...more }, 600, now)).toBe(is);
  });
});

test('an entry has its own writer’s listing interval, not another’s', () => {
  expect(expecting(entry, 3)).toMatchObject({ reconcileSeconds: 3 });
  expect(expecting(entry, undefined)).not.toHaveProperty('reconcileSeconds');
});
