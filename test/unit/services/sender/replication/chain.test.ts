import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { toError } from '../../../../../lib/zfs/errors.ts';
import { ZpsendError } from '../../../../../schemas/errors.ts';
import type { Step } from '../../../../../schemas/plan.ts';
import { logOf } from '../../../../../services/host/log.ts';
import { noCursors } from '../../../../../services/sender/bases/cursors.ts';
import { type ChainDeps, type ChainNews, startChain } from '../../../../../services/sender/replication/chain.ts';
import { jobLog } from '../../../../../services/sender/reporting/job-log.ts';
import { manualClock } from '../../../../support/manual-clock.ts';
import { contextOf } from '../../../../support/planning.ts';

const log = logOf(pino({ enabled: false }));
const step: Step = { type: 'full', to: { name: 'zones/test@one', guid: '1' }, targetDataset: 'tank/test' };

/** The reports of a chain whose hold fails with this on stderr, and how often it requests a transfer. */
async function withoutHold(stderr: string): Promise<{ told: ChainNews[]; asked: number }> {
  const ended = Promise.withResolvers<void>();
  const told: ChainNews[] = [];
  let asked = 0;
  const unheld = toError({ doing: 'holding zones/test@one', host: 'smos-01', stderr, exitCode: 1 });
  const zfs = { hold: () => Promise.reject(unheld), release: async () => {} };
  const ask = () => {
    asked += 1;
    return Promise.reject(new ZpsendError('BAD_REQUEST', 'asked'));
  };
  startChain({ zfs, host: 'smos-01', log, ask, clock: manualClock(), patienceMs: 0 } as unknown as ChainDeps, {
    ...{
      job: 'jobjobjob1',
      targetHost: 'smos-00',
      sourceDataset: 'zones/test',
      steps: [step],
      tag: 'zpsend:jobjobjob1',
    },
    replan: async () => ({ steps: [step] }),
    transferId: () => 'jobjobjob1t1',
    ours: () => true,
    chainLog: jobLog(log, contextOf({ dataset: 'zones/test', to: { host: 'smos-00' } })).chain({
      sourceDataset: 'zones/test',
      targetDataset: 'tank/test',
    }),
    cursor: noCursors.chain(),
    report(news) {
      told.push(news);
      if (news.type === 'ended') ended.resolve();
    },
  });
  await ended.promise;
  return { told, asked };
}

test('a snapshot of a writable pool that cannot be held is not sent', async () => {
  const { told, asked } = await withoutHold("cannot hold snapshot 'zones/test@one': permission denied");
  expect(told).toMatchObject([{ type: 'ended', error: { code: 'NOT_ALLOWED' } }]);
  expect(asked).toBe(0);
});

test('a snapshot of a read-only pool is sent without a hold, with a note', async () => {
  const { told, asked } = await withoutHold('cannot hold: pool is read-only');
  expect(told[0]).toMatchObject({ type: 'noted', note: { kind: 'read-only-source' } });
  expect(asked).toBe(1);
});

describe('a chain moves its marks only when its transfer has resolved', () => {
  /** A chain of one step whose transfer ends as the test says, and its marks and reports, in order. */
  async function chainOf(isWhole: boolean) {
    const moved: string[] = [];
    const running = Promise.withResolvers<void>();
    const end = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    const transfer = {
      ...{ sent: 9, consumed: 9, waiting: undefined, isWhole, stalePartial: false, resumedAt: 0, cancel: () => {} },
      run() {
        running.resolve();
        return end.promise;
      },
    };
    const zfs = { hold: async () => {}, release: async () => void moved.push('released') };
    const deps = { zfs, host: 'smos-01', log, ask: async () => transfer, clock: manualClock(), patienceMs: -1 };
    const planned = { sourceDataset: 'zones/test', targetDataset: 'tank/test' };
    startChain(deps as unknown as ChainDeps, {
      ...{
        job: 'jobjobjob1',
        targetHost: 'smos-00',
        sourceDataset: 'zones/test',
        steps: [step],
        tag: 'zpsend:jobjobjob1',
      },
      replan: async () => ({ steps: [step] }),
      transferId: () => 'jobjobjob1t1',
      ours: () => true,
      chainLog: jobLog(log, contextOf({ dataset: 'zones/test', to: { host: 'smos-00' } })).chain(planned),
      cursor: {
        arrived: () => void moved.push('cursor'),
        markTentative: async () => void moved.push('markTentative'),
        settle: async () => void moved.push('settled'),
      },
      report(news) {
        moved.push(news.type);
        if (news.type === 'ended') ended.resolve();
      },
    });
    await running.promise;
    await new Promise((resolve) => setImmediate(resolve));
    expect(moved, 'while it runs').toEqual([]);
    return { moved, ended: ended.promise, ...end };
  }

  test('in order: cursor, report, and then the hold', async () => {
    const { moved, resolve, ended } = await chainOf(true);
    resolve();
    await ended;
    expect(moved).toEqual(['cursor', 'arrived', 'settled', 'released', 'ended']);
  });

  test.each([
    [true, ['settled', 'markTentative', 'released', 'ended']],
    [false, ['settled', 'released', 'ended']],
  ])('and no mark when it fails, whether all bytes were sent or not: %j', async (isWhole, expected) => {
    const { moved, reject, ended } = await chainOf(isWhole);
    reject(new ZpsendError('NO_SPACE', 'the pool is full'));
    await ended;
    expect(moved).toEqual(expected);
  });
});
