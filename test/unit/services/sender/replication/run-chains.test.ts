import pino from 'pino';
import { expect, test } from 'vitest';
import { hashOfTransfer } from '../../../../../lib/bus/locks/transfer-hash.ts';
import type { DatasetPlan } from '../../../../../lib/plan/dataset-plan.ts';
import type { Zfs } from '../../../../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../../../../schemas/errors.ts';
import { logOf } from '../../../../../services/host/log.ts';
import { noCursors } from '../../../../../services/sender/bases/cursors.ts';
import type { ChainDeps } from '../../../../../services/sender/replication/chain.ts';
import { type ChainsOrder, runChains } from '../../../../../services/sender/replication/run-chains.ts';
import type { ChainLog, JobLog } from '../../../../../services/sender/reporting/job-log.ts';
import type { ReplicationStatus } from '../../../../../services/sender/reporting/job-status.ts';
import { progressOf } from '../../../../../services/sender/reporting/progress.ts';
import { manualClock } from '../../../../support/manual-clock.ts';

const planOf = (dataset: string, guid: string, keyFrom?: string): DatasetPlan => ({
  ...{ sourceDataset: dataset, targetDataset: `back/${dataset}`, ...(keyFrom !== undefined && { keyFrom }) },
  steps: [
    {
      ...{ type: 'incremental', targetDataset: `back/${dataset}`, flags: ['raw'] },
      ...{ from: { name: `${dataset}@1`, guid: '1', kind: 'snapshot' }, to: { name: `${dataset}@2`, guid } },
    },
  ],
});

/** A clock on which no wait takes time. */
const clock = { ...manualClock(), sleep: async () => {} };

test('a vanished root fails the chains that wait for its key, and none of them starts', async () => {
  const held: string[] = [];
  const zfs: Pick<Zfs, 'hold' | 'release'> = {
    async hold(_, snapshots) {
      held.push(...snapshots);
      throw new ZpsendError('NO_SUCH_SNAPSHOT', 'it is gone');
    },
    release: async () => ({ missing: true }),
  };
  const failed: string[] = [];
  const quiet = () => {};
  const says: Partial<ChainLog> = { step: quiet, failed: quiet };
  const say: Partial<JobLog> = { lost: quiet, chain: () => says as ChainLog };
  const board: Partial<ReplicationStatus> = { began: quiet, ended: quiet };
  const plans = [planOf('t/r', '2'), planOf('t/r/a', '3', 't/r')];
  const order: ChainsOrder = {
    ...{
      job: 'jobjobjob1',
      targetHost: 'dst',
      plans,
      parallel: 4,
      progress: progressOf(plans),
      status: board as ReplicationStatus,
    },
    ...{ replan: async () => ({ steps: [] }), cursors: noCursors, jobLog: say as JobLog, arrived: quiet, noted: quiet },
    failed: (dataset, { code }) => void failed.push(`${dataset} ${code}`),
  };
  const deps: Partial<ChainDeps> = {
    host: 'src',
    zfs: zfs as Zfs,
    clock,
    patienceMs: 0,
    log: logOf(pino({ enabled: false })),
  };
  await runChains(deps as ChainDeps, order).over;
  expect(failed).toEqual(['t/r/a KEY_MISMATCH']);
  expect(held).not.toContain('t/r/a@2');
});

test('a lock of this job’s own transfer that another instance knows only by its hash is waited for', async () => {
  const quiet = () => {};
  const says: Partial<ChainLog> = { step: quiet, asking: quiet, waiting: quiet, failed: quiet };
  const say: Partial<JobLog> = { lost: quiet, chain: () => says as ChainLog };
  const board: Partial<ReplicationStatus> = { began: quiet, ended: quiet };
  const plans = [planOf('t/r', '2')];
  const failed: string[] = [];
  const asked: string[] = [];
  const order: ChainsOrder = {
    ...{
      job: 'jobjobjob1',
      targetHost: 'dst',
      plans,
      parallel: 4,
      progress: progressOf(plans),
      status: board as ReplicationStatus,
    },
    ...{ replan: async () => ({ steps: [] }), cursors: noCursors, jobLog: say as JobLog, arrived: quiet, noted: quiet },
    failed: (dataset, { code }) => void failed.push(`${dataset} ${code}`),
  };
  const deps: Partial<ChainDeps> = {
    ...{ host: 'src', clock, patienceMs: 60_000, log: logOf(pino({ enabled: false })) },
    zfs: { hold: async () => {}, release: async () => ({}) } as unknown as Zfs,
    async ask(_, { transfer }) {
      asked.push(transfer);
      if (asked.length > 2) throw new ZpsendError('BAD_REQUEST', 'that is as far as this test goes');
      const transferHash = hashOfTransfer('jobjobjob1t1');
      throw new ZpsendError('LOCKED', 'it is held', { transferHash, by: 'two', life: asked.length });
    },
  };
  await runChains(deps as ChainDeps, order).over;
  expect(asked).toEqual(['jobjobjob1t1', 'jobjobjob1t2', 'jobjobjob1t3']);
  expect(failed).toEqual(['t/r BAD_REQUEST']);
});
