import { describe, expect, test } from 'vitest';
import { deliveriesOf } from '../../../../../lib/bus/channel/store/delivery-state.ts';
import type { PlacedReceipt } from '../../../../../lib/bus/channel/store/receipts.ts';
import { statusKey } from '../../../../../lib/bus/subjects.ts';
import type { ErrorBody } from '../../../../../schemas/errors.ts';
import type { StatusEntry, StatusRun } from '../../../../../schemas/status.ts';
import type { JobStatusDeps } from '../../../../../services/sender/reporting/job-status.ts';
import { type BlockedStream, reportBlocked } from '../../../../../services/sender/reporting/store-blocked.ts';
import { reportSettled } from '../../../../../services/sender/reporting/store-receipts.ts';
import { blockedIn } from '../../../../../services/sender/store/blocked.ts';
import { blockedNotes } from '../../../../../services/sender/store/blocked-notes.ts';
import { openBlockedStatus } from '../../../../../services/sender/store/blocked-status.ts';
import { unreported } from '../../../../../services/sender/store/deliveries.ts';
import { openUnclaimed } from '../../../../../services/sender/store/unclaimed.ts';
import { manualClock } from '../../../../support/manual-clock.ts';
import { mentions } from '../../../../support/mentions.ts';
import { receiptOf, storedStream } from '../../../../support/stored-streams.ts';

const noPool: ErrorBody = { code: 'NO_SUCH_DATASET', message: 'no pool', retryable: false };
const full: ErrorBody = { code: 'NO_SPACE', message: 'full', retryable: false };

const startOf = (targetDataset: string) => ({
  ...{ transfer: 'transfer1', job: 'jobjobjob1', sourceHost: 'src', targetDataset },
  to: { name: 'pool/a@1', guid: '1' },
});
const waiting = [
  storedStream('stream1', ['one', 'pool/a'], ['two', 'pool/a']),
  storedStream('stream2', ['one', 'pool/b']),
  storedStream('stream3', ['one', 'pool/a']),
];

const blockedAs = (target: string, dataset: string, error: ErrorBody): BlockedStream => ({
  target,
  start: startOf(dataset),
  error,
});

describe('a stream that a target cannot receive yet', () => {
  const receipts = [
    receiptOf('one', 'stream1', 'running', 0, noPool),
    receiptOf('two', 'stream1', 'running', 1),
    receiptOf('one', 'stream2', 'failed', 0, full),
    receiptOf('one', 'stream3', 'running', 0, full),
    receiptOf('one', 'gone000', 'running', 0, full),
  ];

  test('is one that it retries, and that still exists', () => {
    expect(blockedIn(deliveriesOf(waiting, receipts), 0)).toEqual([
      blockedAs('one', 'pool/a', noPool),
      blockedAs('one', 'pool/a', full),
    ]);
  });

  // a target that has reported something is not asked
  const deps = {} as Parameters<typeof blockedNotes>[0];
  const notes = async (targetDataset: string, all: readonly PlacedReceipt[]) =>
    (await blockedNotes(deps, { host: 'one', targetDataset }, deliveriesOf(waiting, all))).map(
      ({ dataset, message }) => [dataset, message],
    );

  test('is noted for a job to that target, by the first stream of each dataset', async () => {
    expect(await notes('pool', receipts)).toEqual([['pool/a', mentions('pool/a', 'one', 'no pool')]]);
    expect(await notes('pool/b', receipts)).toEqual([]);
  });

  test('is noted once, in short, for all datasets blocked by the same error', async () => {
    const long = { ...full, message: 'x'.repeat(8000) };
    const all = ['stream1', 'stream2'].map((id) => receiptOf('one', id, 'running', 0, long));
    const noted = await notes('pool', all);
    expect(noted).toEqual([['pool/a', mentions(1)]]);
    expect(noted[0]?.[1]?.length).toBeLessThan(500);
  });
});

describe('a target without receipts', () => {
  const receipts = [receiptOf('two', 'stream1', 'running', 1), receiptOf('one', 'gone000', 'done')];
  const shown = (all: readonly PlacedReceipt[]) =>
    unreported(deliveriesOf(waiting, all)).map(({ target, key }) => [target, key]);

  test('has no receipt of the current streams', () => {
    expect(shown(receipts)).toEqual([
      ['one', 'stream1.0'],
      ['one', 'stream2.0'],
      ['one', 'stream3.0'],
    ]);
    expect(shown([receiptOf('one', 'stream3', 'done')])).toEqual([['two', 'stream1.1']]);
  });

  test('has unclaimed streams after its receiver is online for a minute, and not before', async () => {
    let isOnline = false;
    const asked: string[] = [];
    const clock = manualClock();
    const mark = openUnclaimed(async (target) => {
      asked.push(target);
      return isOnline;
    }, clock);
    const blockedAt = async (seconds: number, all: readonly PlacedReceipt[] = receipts) => {
      await clock.advance(seconds * 1000 - clock.now());
      return blockedIn(await mark(deliveriesOf(waiting, all)), clock.now()).map(({ error }) => error.code);
    };
    expect(await blockedAt(0)).toEqual([]);
    expect(await blockedAt(100)).toEqual([]);
    isOnline = true;
    expect(await blockedAt(120)).toEqual([]);
    expect(await blockedAt(179)).toEqual([]);
    expect(await blockedAt(181)).toEqual(['TIMEOUT', 'TIMEOUT', 'TIMEOUT']);
    expect(new Set(asked)).toEqual(new Set(['one']));
    // not asked in every round
    expect(asked).toHaveLength(4);
    expect(await blockedAt(182, [receiptOf('one', 'stream3', 'running'), ...receipts])).toEqual([]);
    // it was offline since, and is back
    expect(await blockedAt(210)).toEqual([]);
    isOnline = false;
    expect(await blockedAt(300)).toEqual([]);
    isOnline = true;
    expect(await blockedAt(330)).toEqual([]);
    expect(await blockedAt(395)).toHaveLength(3);
  });
});

describe('reports of blocked streams', () => {
  function reporter(fails = 0) {
    const reported: number[] = [];
    let left = fails;
    const clock = manualClock();
    const report = openBlockedStatus(async (blocked) => {
      if (left-- > 0) throw new Error('away');
      reported.push(blocked.length);
    }, clock);
    return { reported, report, clock };
  }
  const one = blockedAs('one', 'pool/a', noPool);

  test('are made at first, and again while they are blocked, whichever receipts come between', async () => {
    const { reported, report, clock } = reporter();
    const two = [blockedAs('one', 'pool/b', noPool), one];
    const at: [BlockedStream[], number][] = [
      [[], 0],
      [[], 60],
      [[one], 61],
      [[one], 62],
      [two, 70],
      [two, 71],
      [[], 72],
      [[one], 73],
      [[], 74],
      [[one], 82],
      [[], 99],
      [[], 120],
    ];
    for (const [blocked, seconds] of at) {
      await clock.advance(seconds * 1000 - clock.now());
      await report(blocked);
    }
    expect(reported).toEqual([0, 1, 2, 0, 1, 0]);
  });

  test('that failed are repeated in the next round', async () => {
    const { reported, report } = reporter(1);
    await expect(report([one])).rejects.toThrow('away');
    for (let again = 0; again < 2; again++) await report([one]);
    expect(reported).toEqual([1]);
  });
});

describe('the status shows the error of a blocked stream, which', () => {
  const keyOf = (target: string) => statusKey({ source: 'src', target, dataset: 'pool/a', into: 'pool/a' });
  const written = '2026-01-01T00:00:00.000Z';
  const runOf = (state: StatusRun['state']): Pick<StatusEntry, 'run'> => ({
    run: { job: 'job0000001', instance: 'one0000001', state, done: 0, bytes: 0, seconds: 0 },
  });

  function statusOf(before: StatusEntry, isWhole = false) {
    const entries = new Map(['one', 'two'].map((target) => [keyOf(target), before]));
    const puts: string[] = [];
    const status = {
      pending: () => [...entries],
      put(key: string, make: () => StatusEntry) {
        puts.push(key);
        entries.set(key, make());
      },
    };
    const [first, second] = ['1', '2'].map((at) => ({
      name: at,
      guid: at,
      createtxg: at,
      creation: Number(at),
      written: 1,
    }));
    const dataset = { name: 'pool/a', snapshots: isWhole ? [first] : [first, second], bookmarks: [] };
    // the entry to write exists, so nothing is requested on the bus
    const deps = {
      host: 'src',
      clock: manualClock(),
      status,
      zfs: { list: async () => [dataset] },
    } as unknown as JobStatusDeps;
    return {
      puts,
      block: (...blocked: BlockedStream[]) => reportBlocked(deps, entries, blocked),
      deliver: () => reportSettled(deps, 'one', startOf('pool/a'), { type: 'delivered' }),
      error: (target = 'one') => entries.get(keyOf(target))?.error?.code,
    };
  }
  const [noPoolThere, fullThere] = [blockedAs('one', 'pool/a', noPool), blockedAs('one', 'pool/a', full)];

  test('belongs to the dataset’s first stream, is cleared at the end, and is written when it changes', async () => {
    const { puts, block, error } = statusOf({ written, ...runOf('done') });
    block(noPoolThere, fullThere);
    block(noPoolThere);
    expect([error(), error('two'), puts.length]).toEqual(['NO_SUCH_DATASET', undefined, 1]);
    block(fullThere);
    expect(error()).toBe('NO_SPACE');
    block();
    expect([error(), puts.length]).toEqual([undefined, 3]);
  });

  test('is cleared when the stream is delivered', async () => {
    const { block, deliver, error } = statusOf({ written, ...runOf('done') });
    block(noPoolThere);
    await deliver();
    expect(error()).toBeUndefined();
  });

  test('is cleared with a job’s failure when no snapshot is missing any more', async () => {
    const { deliver, block, error } = statusOf({ written, ...runOf('failed'), error: full }, true);
    await deliver();
    expect(error()).toBeUndefined();
    block(noPoolThere);
    expect(error()).toBe('NO_SUCH_DATASET');
  });

  test.each(['running', 'waiting', 'failed'] as const)('does not replace the report of a %s job', async (state) => {
    const { puts, block, deliver, error } = statusOf({ written, ...runOf(state), error: full });
    block(noPoolThere);
    block();
    expect(puts).toEqual([]);
    await deliver();
    expect(error()).toBe('NO_SPACE');
  });
});
