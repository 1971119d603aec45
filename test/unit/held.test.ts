import { describe, expect, test } from 'vitest';
import { statusKey } from '../../lib/bus/subjects.ts';
import type { ErrorBody } from '../../schemas/errors.ts';
import type { StatusEntry, StatusRun } from '../../schemas/status.ts';
import { type Manifest, manifestSchema, type Receipt } from '../../schemas/stored.ts';
import type { BoardDeps } from '../../services/sender/board/board.ts';
import { entryOf, next } from '../../services/sender/board/line.ts';
import { tellHeld, tellTaken } from '../../services/sender/board/taken.ts';
import { heldAt } from '../../services/sender/stored/held.ts';
import { openHeldNews } from '../../services/sender/stored/held-news.ts';
import { type Held, heldOf } from '../../services/sender/stored/last-words.ts';

const noPool: ErrorBody = { code: 'NO_SUCH_DATASET', message: 'no pool', retryable: false };
const full: ErrorBody = { code: 'NO_SPACE', message: 'full', retryable: false };

const startOf = (dataset: string) => ({
  ...{ transfer: 'transfer1', job: 'jobjobjob1', source: 'src', dataset },
  to: { name: 'pool/a@1', guid: '1' },
});
const manifestFor = (id: string, ...targets: [host: string, dataset: string][]): Manifest =>
  manifestSchema.parse({
    ...{ version: 1, id, source: 'src', bytes: 1, segment: 65_536, digests: [`SHA-256=${'A'.repeat(43)}=`] },
    targets: targets.map(([host, dataset]) => ({ host, start: startOf(dataset) })),
  });
const receipt = (target: string, id: string, said: Omit<Receipt, 'bytes'>, place = 0) => ({
  ...{ target, id, place, receipt: { bytes: 0, ...said } },
});
const waiting = [
  manifestFor('stream1', ['one', 'pool/a'], ['two', 'pool/a']),
  manifestFor('stream2', ['one', 'pool/b']),
  manifestFor('stream3', ['one', 'pool/a']),
];

describe('what a target could not take yet', () => {
  const receipts = [
    receipt('one', 'stream1', { state: 'running', error: noPool }),
    receipt('two', 'stream1', { state: 'running' }, 1),
    receipt('one', 'stream2', { state: 'failed', error: full }),
    receipt('one', 'stream3', { state: 'running', error: full }),
    receipt('one', 'gone000', { state: 'running', error: full }),
  ];

  test('is what it tries again, of streams that are there', () => {
    expect(heldOf(waiting, receipts).map(({ key, error }) => [key, error.code])).toEqual([
      ['stream1.0', 'NO_SUCH_DATASET'],
      ['stream3.0', 'NO_SPACE'],
    ]);
  });

  test('is told of a dataset by the first of its streams, and of no other place', async () => {
    // who has said something is not asked
    const deps = {} as Parameters<typeof heldAt>[0];
    const at = async (root: string) => [...(await heldAt(deps, { host: 'one', root }, waiting, receipts))];
    expect(await at('pool')).toEqual([['pool/a', noPool]]);
    expect(await at('pool/b')).toEqual([]);
  });

  test('is told when it changes, and when it is over', async () => {
    const told: unknown[] = [];
    const tell = openHeldNews(async (target, { dataset }, now, was) => {
      told.push([target, dataset, now?.code, was?.code]);
    });
    const { signal } = new AbortController();
    const one = (error: ErrorBody): Held => ({ key: 'stream1.0', target: 'one', start: startOf('pool/a'), error });
    for (const held of [[one(noPool), one(full)], [one(noPool)], [one(full)], []]) await tell(held, signal);
    expect(told).toEqual([
      ['one', 'pool/a', 'NO_SUCH_DATASET', undefined],
      ['one', 'pool/a', 'NO_SPACE', 'NO_SUCH_DATASET'],
      ['one', 'pool/a', undefined, 'NO_SPACE'],
    ]);
  });

  test('is told again where it could not be told', async () => {
    let tries = 0;
    const tell = openHeldNews(async () => {
      tries++;
      if (tries === 1) throw new Error('away');
    });
    const held: Held[] = [{ key: 'stream1.0', target: 'one', start: startOf('pool/a'), error: full }];
    const { signal } = new AbortController();
    await expect(tell(held, signal)).rejects.toThrow('away');
    for (let again = 0; again < 2; again++) await tell(held, signal);
    expect(tries).toBe(2);
  });
});

describe('on the board, why a target does not take what is stored for it', () => {
  const key = statusKey({ source: 'src', target: 'dst', dataset: 'pool/a', into: 'pool/a' });
  const written = '2026-01-01T00:00:00.000Z';
  const runOf = (state: StatusRun['state']): Pick<StatusEntry, 'run'> => ({
    run: { job: 'job0000001', instance: 'one0000001', state, done: 0, bytes: 0, seconds: 0 },
  });

  function board(before: StatusEntry) {
    let entry = before;
    const status = {
      pending: (): [string, StatusEntry][] => [[key, entry]],
      put: (_: string, make: () => StatusEntry) => {
        entry = make();
      },
    };
    const dataset = { name: 'pool/a', snapshots: [], bookmarks: [] };
    const deps = { host: 'src', status, zfs: { list: async () => [dataset] } } as unknown as BoardDeps;
    return {
      held: (now?: ErrorBody, was?: ErrorBody) => tellHeld(deps, 'dst', startOf('pool/a'), now, was),
      taken: () => tellTaken(deps, 'dst', startOf('pool/a'), { state: 'done', bytes: 1 }),
      error: () => entry.error?.code,
    };
  }

  test('is told of what no job is at, and goes when it is over, or the stream is taken', async () => {
    const { held, taken, error } = board({ written, ...runOf('done') });
    await held(noPool);
    expect(error()).toBe('NO_SUCH_DATASET');
    await held(full, noPool);
    expect(error()).toBe('NO_SPACE');
    await held(undefined, full);
    expect(error()).toBeUndefined();
    await held(full);
    await taken();
    expect(error()).toBeUndefined();
  });

  test.each(['running', 'waiting', 'failed'] as const)('does not stand over what a %s job says', async (state) => {
    const { held, taken, error } = board({ written, ...runOf(state), error: full });
    await held(noPool);
    await held(undefined, noPool);
    await taken();
    expect(error()).toBe('NO_SPACE');
  });

  test('stays where something else has been told since', async () => {
    const { held, error } = board({ written, ...runOf('done'), error: full });
    await held(undefined, noPool);
    expect(error()).toBe('NO_SPACE');
  });

  test('is told by a job that finds it so, unless that fails', () => {
    const facts = { sent: undefined, newest: undefined, missing: [], listed: 0, held: noPool };
    const who = { job: 'job0000001', instance: 'one0000001' };
    const end = { type: 'ended', bytes: 0, seconds: 0 } as const;
    const line = next({}, { type: 'listed', facts });
    expect(entryOf(next(line, end), who, 0).error?.code).toBe('NO_SUCH_DATASET');
    expect(entryOf(next(line, { ...end, error: full }), who, 0).error?.code).toBe('NO_SPACE');
  });
});
