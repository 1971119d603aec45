import { describe, expect, test } from 'vitest';
import { statusKey } from '../../../../../lib/bus/subjects.ts';
import type { ErrorBody } from '../../../../../schemas/errors.ts';
import type { StatusEntry, StatusRun } from '../../../../../schemas/status.ts';
import { manifestSchema, type Receipt } from '../../../../../schemas/stored.ts';
import type { JobStatusDeps } from '../../../../../services/sender/reporting/job-status.ts';
import { type Held, reportBlocked } from '../../../../../services/sender/reporting/store-blocked.ts';
import { reportDelivered } from '../../../../../services/sender/reporting/store-receipts.ts';
import { blockedNotes } from '../../../../../services/sender/store/blocked-notes.ts';
import { openBlockedStatus } from '../../../../../services/sender/store/blocked-status.ts';
import { heldOf } from '../../../../../services/sender/store/receipts.ts';
import { openUnclaimed, unclaimedOf } from '../../../../../services/sender/store/unclaimed.ts';
import { mentions } from '../../../../support/mentions.ts';

const noPool: ErrorBody = { code: 'NO_SUCH_DATASET', message: 'no pool', retryable: false };
const full: ErrorBody = { code: 'NO_SPACE', message: 'full', retryable: false };

const startOf = (dataset: string) => ({
  ...{ transfer: 'transfer1', job: 'jobjobjob1', source: 'src', dataset },
  to: { name: 'pool/a@1', guid: '1' },
});
const manifestFor = (id: string, ...targets: [host: string, dataset: string][]) => ({
  ...manifestSchema.parse({
    ...{ version: 1, id, source: 'src', bytes: 1, segment: 65_536, digests: [`SHA-256=${'A'.repeat(43)}=`] },
    targets: targets.map(([host, dataset]) => ({ host, start: startOf(dataset) })),
  }),
  segments: 1,
});
const receipt = (target: string, id: string, said: Omit<Receipt, 'bytes'>, place = 0) => ({
  ...{ target, id, place, receipt: { bytes: 0, ...said } },
});
const waiting = [
  manifestFor('stream1', ['one', 'pool/a'], ['two', 'pool/a']),
  manifestFor('stream2', ['one', 'pool/b']),
  manifestFor('stream3', ['one', 'pool/a']),
];

const heldAs = (target: string, dataset: string, error: ErrorBody): Held => ({
  target,
  start: startOf(dataset),
  error,
});

describe('what a target could not take yet', () => {
  const receipts = [
    receipt('one', 'stream1', { state: 'running', error: noPool }),
    receipt('two', 'stream1', { state: 'running' }, 1),
    receipt('one', 'stream2', { state: 'failed', error: full }),
    receipt('one', 'stream3', { state: 'running', error: full }),
    receipt('one', 'gone000', { state: 'running', error: full }),
  ];

  test('is what it tries again, of streams that are there', () => {
    expect(heldOf(waiting, receipts)).toEqual([heldAs('one', 'pool/a', noPool), heldAs('one', 'pool/a', full)]);
  });

  // who has said something is not asked
  const deps = {} as Parameters<typeof blockedNotes>[0];
  const notes = async (root: string, all: Parameters<typeof blockedNotes>[3]) =>
    (await blockedNotes(deps, { host: 'one', root }, waiting, all)).map(({ dataset, message }) => [dataset, message]);

  test('is told to who sends there, of a dataset by the first of its streams', async () => {
    expect(await notes('pool', receipts)).toEqual([['pool/a', mentions('pool/a', 'one', 'no pool')]]);
    expect(await notes('pool/b', receipts)).toEqual([]);
  });

  test('is told once for all datasets that are held for the same, and in short', async () => {
    const long = { ...full, message: 'x'.repeat(8000) };
    const all = ['stream1', 'stream2'].map((id) => receipt('one', id, { state: 'running', error: long }));
    const told = await notes('pool', all);
    expect(told).toEqual([['pool/a', mentions(1)]]);
    expect(told[0]?.[1]?.length).toBeLessThan(500);
  });
});

describe('a target that says nothing', () => {
  const receipts = [receipt('two', 'stream1', { state: 'running' }, 1), receipt('one', 'gone000', { state: 'done' })];
  const unclaimedStreams = [startOf('pool/a'), startOf('pool/b'), startOf('pool/a')].map((start) => ({
    target: 'one',
    start,
  }));

  test('has said nothing of what is there now', () => {
    expect(unclaimedOf(waiting, receipts)).toEqual(unclaimedStreams);
    expect(unclaimedOf(waiting, [receipt('one', 'stream3', { state: 'done' })])).toEqual([
      { target: 'two', start: startOf('pool/a') },
    ]);
  });

  test('is told of when its receiver was there for a minute, and not before it was', async () => {
    let isThere = false;
    const asked: string[] = [];
    const look = openUnclaimed(async (target) => {
      asked.push(target);
      return isThere;
    }, 'src');
    const told = async (seconds: number, all = receipts) => (await look(waiting, all, seconds * 1000)).length;
    expect(await told(0)).toBe(0);
    expect(await told(100)).toBe(0);
    isThere = true;
    expect(await told(120)).toBe(0);
    expect(await told(179)).toBe(0);
    expect(await told(181)).toBe(3);
    expect(new Set(asked)).toEqual(new Set(['one']));
    // not asked at every look
    expect(asked).toHaveLength(4);
    expect(await told(182, [receipt('one', 'stream3', { state: 'running' }), ...receipts])).toBe(0);
    // it has gone away since, and come back
    expect(await told(210)).toBe(0);
    isThere = false;
    expect(await told(300)).toBe(0);
    isThere = true;
    expect(await told(330)).toBe(0);
    expect(await told(395)).toBe(3);
  });
});

describe('news of what is held', () => {
  function newsOf(fails = 0) {
    const told: number[] = [];
    let left = fails;
    const news = openBlockedStatus(async (held) => {
      if (left-- > 0) throw new Error('away');
      told.push(held.length);
    });
    return { told, news };
  }
  const one = heldAs('one', 'pool/a', noPool);

  test('come at first, and again while it is so, whatever targets say in between', async () => {
    const { told, news } = newsOf();
    const two = [heldAs('one', 'pool/b', noPool), one];
    const at: [Held[], number][] = [
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
    for (const [held, seconds] of at) await news(held, seconds * 1000);
    expect(told).toEqual([0, 1, 2, 0, 1, 0]);
  });

  test('that could not be told are told at the next look', async () => {
    const { told, news } = newsOf(1);
    await expect(news([one], 0)).rejects.toThrow('away');
    for (let again = 0; again < 2; again++) await news([one], 1);
    expect(told).toEqual([1]);
  });
});

describe('on the board, why a target does not take what is stored for it', () => {
  const keyOf = (target: string) => statusKey({ source: 'src', target, dataset: 'pool/a', into: 'pool/a' });
  const written = '2026-01-01T00:00:00.000Z';
  const runOf = (state: StatusRun['state']): Pick<StatusEntry, 'run'> => ({
    run: { job: 'job0000001', instance: 'one0000001', state, done: 0, bytes: 0, seconds: 0 },
  });

  function board(before: StatusEntry, isWhole = false) {
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
    // what is yet to be written is there, so nothing is asked for on the bus
    const deps = { host: 'src', status, zfs: { list: async () => [dataset] } } as unknown as JobStatusDeps;
    return {
      puts,
      held: (...held: Held[]) => reportBlocked(deps, entries, held),
      taken: () => reportDelivered(deps, 'one', startOf('pool/a'), { state: 'done', bytes: 1 }),
      error: (target = 'one') => entries.get(keyOf(target))?.error?.code,
    };
  }
  const [noPoolThere, fullThere] = [heldAs('one', 'pool/a', noPool), heldAs('one', 'pool/a', full)];

  test('is told of the first of its streams, goes when it is over, and is written when it changes', async () => {
    const { puts, held, error } = board({ written, ...runOf('done') });
    held(noPoolThere, fullThere);
    held(noPoolThere);
    expect([error(), error('two'), puts.length]).toEqual(['NO_SUCH_DATASET', undefined, 1]);
    held(fullThere);
    expect(error()).toBe('NO_SPACE');
    held();
    expect([error(), puts.length]).toEqual([undefined, 3]);
  });

  test('goes when the stream is taken', async () => {
    const { held, taken, error } = board({ written, ...runOf('done') });
    held(noPoolThere);
    await taken();
    expect(error()).toBeUndefined();
  });

  test('goes with the failure of a job when nothing is missing any more', async () => {
    const { taken, held, error } = board({ written, ...runOf('failed'), error: full }, true);
    await taken();
    expect(error()).toBeUndefined();
    held(noPoolThere);
    expect(error()).toBe('NO_SUCH_DATASET');
  });

  test.each(['running', 'waiting', 'failed'] as const)('does not stand over what a %s job says', async (state) => {
    const { puts, held, taken, error } = board({ written, ...runOf(state), error: full });
    held(noPoolThere);
    held();
    expect(puts).toEqual([]);
    await taken();
    expect(error()).toBe('NO_SPACE');
  });
});
