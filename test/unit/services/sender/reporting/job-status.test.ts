import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { SettledState } from '../../../../../lib/bus/channel/store/delivery-state.ts';
import { statusKey } from '../../../../../lib/bus/subjects.ts';
import type { Code, ErrorBody } from '../../../../../schemas/errors.ts';
import type { DatasetEntry, SnapshotEntry } from '../../../../../schemas/inventory.ts';
import { type StatusEntry, statusEntrySchema } from '../../../../../schemas/status.ts';
import {
  type DatasetStatus,
  type DatasetStatusEvent,
  entryOf,
  lagged,
  next,
} from '../../../../../services/sender/reporting/dataset-status.ts';
import type { JobStatusDeps } from '../../../../../services/sender/reporting/job-status.ts';
import { arrivedAt, lagFacts, lagFactsSince, lagOf, storedUpTo } from '../../../../../services/sender/reporting/lag.ts';
import { reportSettled } from '../../../../../services/sender/reporting/store-receipts.ts';
import { manualClock } from '../../../../support/manual-clock.ts';

/** Made an hour apart, each with 100 bytes that are new. */
const snapshot = (at: number): SnapshotEntry => ({
  ...{ name: `s${at}`, guid: String(1000 + at), createtxg: String(at * 10), used: 0, userrefs: 0 },
  ...{ referenced: 1000 + at * 100, written: at === 1 ? 1100 : 100, creation: 1_700_000_000 + at * 3600 },
});
const dataset = (...at: number[]): DatasetEntry => ({
  ...{ name: 'pool/a', type: 'filesystem', guid: '1', createtxg: '1', used: 0, referenced: 0, written: 0 },
  ...{ encryption: 'off', snapshots: at.map(snapshot), bookmarks: [] },
});
const { creation: _, ...bookmarked } = snapshot(2);
const now = Date.parse('2026-01-01T00:00:00.000Z');
const who = { job: 'abcdef123456', instance: 'abcdef654321' };
const full: ErrorBody = { code: 'NO_SPACE', message: 'out of space', retryable: false, details: { dataset: 'pool/a' } };

describe('the lag of a dataset on a target', () => {
  test('is the snapshots of the source after the newest common one', () => {
    const facts = lagFacts(dataset(1, 2, 3, 4), dataset(1, 2), now);
    expect(facts).toMatchObject({ sent: { name: 's2' }, newest: { name: 's4', creation: 1_700_014_400 } });
    expect(lagOf(facts)).toEqual({ snapshots: 2, bytes: 200, seconds: 7200 });
  });

  test('is empty if the target has the newest snapshot, with any others', () => {
    expect(lagOf(lagFacts(dataset(1, 2), dataset(1, 2, 9), now))).toEqual({ snapshots: 0, bytes: 0, seconds: 0 });
  });

  test('is everything, without an age, if nothing was sent', () => {
    for (const target of [undefined, dataset()]) {
      expect(lagOf(lagFacts(dataset(2, 3), target, now))).toEqual({ snapshots: 2, bytes: 1300 });
    }
  });

  test('is counted from a bookmark if the source has destroyed the sent snapshot', () => {
    const { used, referenced, written, userrefs, ...bookmark } = bookmarked;
    const source = { ...dataset(3, 4), bookmarks: [bookmark] };
    expect(lagOf(lagFacts(source, dataset(1, 2), now))).toMatchObject({ snapshots: 2, bytes: 200 });
  });

  test('is counted from the last sent snapshot if the target is not listed, also if the source has destroyed it', () => {
    const sent = { name: 's2', guid: '1002', creation: 1_700_007_200 };
    for (const source of [dataset(1, 2, 3, 4), dataset(1, 3, 4)]) {
      const facts = lagFactsSince(source, sent, now);
      expect([facts.sent, lagOf(facts)]).toEqual([sent, { snapshots: 2, bytes: 200, seconds: 7200 }]);
    }
    expect(lagFactsSince(dataset(1), undefined, now).sent).toBeUndefined();
  });

  test('shrinks as snapshots arrive, to nothing with the last', () => {
    let facts = lagFacts(dataset(1, 2, 3), undefined, now);
    for (const at of [1, 2, 3]) {
      facts = arrivedAt(facts, String(1000 + at));
      expect(facts.sent?.name).toBe(`s${at}`);
      expect(lagOf(facts)).toEqual({ snapshots: 3 - at, bytes: (3 - at) * 100, seconds: (3 - at) * 3600 });
    }
    expect(arrivedAt(facts, '77')).toBe(facts);
  });

  test('lists stored snapshots until they have arrived', () => {
    const facts = storedUpTo(lagFacts(dataset(1, 2, 3, 4), dataset(1), now), '1003');
    expect([facts.stored?.name, lagOf(facts).snapshots]).toEqual(['s3', 3]);
    expect(arrivedAt(facts, '1002').stored?.name).toBe('s3');
    expect(arrivedAt(facts, '1003')).not.toHaveProperty('stored');
    // the target has it, or it is unknown
    for (const guid of ['1001', '77', undefined]) expect(storedUpTo(facts, guid)).toBe(facts);
  });
});

describe('a dataset status', () => {
  const listed: DatasetStatusEvent = { type: 'listed', facts: lagFacts(dataset(1, 2, 3), dataset(1), now) };
  const measured = (seconds: number, bytes: number, waiting?: ErrorBody): DatasetStatusEvent => ({
    ...{ type: 'measured', seconds, bytes, waiting },
  });
  const lineOf = (...events: DatasetStatusEvent[]): DatasetStatus => events.reduce(next, {});
  const entry = (...events: DatasetStatusEvent[]) => statusEntrySchema.parse(entryOf(lineOf(...events), who, now));

  test('shows the listing before anything runs', () => {
    expect(entry(listed)).toEqual({
      sent: { name: 's1', guid: '1001', creation: 1_700_003_600 },
      newest: { name: 's3', guid: '1003', creation: 1_700_010_800 },
      lag: { snapshots: 2, bytes: 200, seconds: 7200 },
      listed: '2026-01-01T00:00:00.000Z',
      written: '2026-01-01T00:00:00.000Z',
    });
  });

  test('shows arrivals during the run, and the recent rate', () => {
    const slow = [1, 2, 3].map((seconds) => measured(seconds, seconds * 10));
    const fast = [4, 5, 6, 7, 8, 9].map((seconds) => measured(seconds, 30 + (seconds - 3) * 1000));
    const run = { ...who, state: 'running', done: 1, bytes: 6030, seconds: 9, rate: 1000 };
    expect(entry(listed, { type: 'began' }, { type: 'arrived', guid: '1002' }, ...slow, ...fast)).toMatchObject({
      ...{ sent: { name: 's2' }, lag: { snapshots: 1 }, run },
    });
  });

  test('waits with a reason and without a rate', () => {
    const waiting = entry(listed, { type: 'began' }, measured(1, 10), measured(2, 10, full));
    expect(waiting).toMatchObject({ run: { state: 'waiting' }, error: { code: 'NO_SPACE' } });
    expect(waiting.run).not.toHaveProperty('rate');
    expect(entry(listed, { type: 'began' }, measured(2, 10, full), measured(3, 20))).not.toHaveProperty('error');
  });

  test('keeps the error of a failed run until the next one starts', () => {
    const failed: DatasetStatusEvent[] = [
      listed,
      { type: 'began' },
      { type: 'ended', bytes: 5, seconds: 1, error: full },
    ];
    const { details: _, ...error } = full;
    expect(entry(...failed)).toMatchObject({ run: { state: 'failed', bytes: 5 }, error });
    expect(entry(...failed, listed)).toMatchObject({ error });
    expect(entry(...failed, { type: 'began' })).not.toHaveProperty('error');
  });

  test('ends once, and does not change after that', () => {
    const done = lineOf(listed, { type: 'began' }, { type: 'ended', bytes: 5, seconds: 1 });
    expect(next(done, { type: 'ended', bytes: 0, seconds: 0, error: full })).toBe(done);
    expect(next(done, measured(9, 9))).toBe(done);
  });

  test('of any state matches its schema', () => {
    const error = fc.option(fc.constant(full), { nil: undefined });
    const amount = fc.nat();
    const event: fc.Arbitrary<DatasetStatusEvent> = fc.oneof(
      fc.constant(listed),
      fc.constant<DatasetStatusEvent>({ type: 'began' }),
      fc.nat(4).map((at): DatasetStatusEvent => ({ type: 'arrived', guid: String(1000 + at) })),
      fc.record({ type: fc.constant('measured' as const), bytes: amount, seconds: amount, waiting: error }),
      fc.record({ type: fc.constant('ended' as const), bytes: amount, seconds: amount, error }),
    );
    fc.assert(fc.property(fc.array(event, { maxLength: 20 }), (events) => void entry(...events)));
  });

  test('omits the fields that would make an entry long', () => {
    const long = { ...full, message: 'x'.repeat(5000) };
    const entry = entryOf(lineOf(listed, { type: 'ended', bytes: 0, seconds: 0, error: long }), who, now);
    expect(statusEntrySchema.parse(entry).error).toEqual({
      ...{ code: 'NO_SPACE', retryable: false, message: 'x'.repeat(1000) },
    });
  });
});

describe('a stream that a target has received from the store', () => {
  const failed: Pick<StatusEntry, 'run'> = {
    run: { job: 'job0000001', instance: 'one0000001', state: 'failed', done: 0, bytes: 0, seconds: 0 },
  };
  const reply = (code: Code): SettledState => ({
    type: 'rejected',
    error: { code, message: code, retryable: false },
  });

  /** The status after reports of snapshots that build on others, where `before` was sent. */
  async function statusAfter(
    { before, there, more }: { before: number; there: number[]; more?: Partial<StatusEntry> },
    ...reports: (readonly [from: number, to: number, SettledState])[]
  ): Promise<StatusEntry> {
    const source = dataset(...there);
    const sent = { name: `s${before}`, guid: String(1000 + before) };
    let entry: StatusEntry = { ...lagged(lagFactsSince(source, sent, now), now), ...more };
    const key = statusKey({ source: 'src', target: 'dst', dataset: 'pool/a', into: 'pool/a' });
    const status = {
      pending: (): [string, StatusEntry][] => [[key, entry]],
      put: (_: string, make: () => StatusEntry) => {
        entry = make();
      },
      during: () => {},
      stop: async () => {},
    };
    const zfs = { list: async () => [source] };
    // the entry to write exists, so nothing is requested on the bus
    const deps = { host: 'src', clock: manualClock(), zfs, status } as unknown as JobStatusDeps;
    const at = (snapshot: number) => ({ name: `pool/a@s${snapshot}`, guid: String(1000 + snapshot) });
    for (const [from, to, settled] of reports)
      await reportSettled(deps, 'dst', { from: at(from), to: at(to), targetDataset: 'pool/a' }, settled);
    return entry;
  }
  const sentAfter = async (before: number, received: number, ...there: number[]) =>
    (await statusAfter({ before, there }, [before, received, { type: 'delivered' }])).sent?.name;

  test('after a rejected stream keeps that stream’s error, not its own', async () => {
    const state = { before: 1, there: [1, 2, 3], more: failed };
    const first = [1, 2, reply('MODIFIED')] as const;
    const code = async (...reports: Parameters<typeof statusAfter>[1][]) =>
      (await statusAfter(state, ...reports)).error?.code;
    expect(await code(first)).toBe('MODIFIED');
    expect(await code(first, [2, 3, reply('DIVERGED')])).toBe('MODIFIED');
    // of another one, later
    expect(await code(first, [1, 3, reply('NO_SPACE')])).toBe('NO_SPACE');
    expect(await code([2, 3, reply('DIVERGED')])).toBe('DIVERGED');
    // newer ones have arrived directly
    const { error } = await statusAfter({ before: 3, there: [1, 2, 3] }, [1, 2, reply('MODIFIED')]);
    expect(error).toBeUndefined();
  });

  test('is written, unless newer snapshots have arrived directly since', async () => {
    expect(await sentAfter(1, 2, 1, 2, 3)).toBe('s2');
    expect(await sentAfter(3, 2, 1, 2, 3)).toBe('s3');
    // the snapshot that was sent is gone at the source
    expect(await sentAfter(3, 2, 1, 2)).toBe('s2');
  });
});
