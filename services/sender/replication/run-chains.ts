import { hashOfTransfer } from '../../../lib/bus/locks/transfer-hash.ts';
import type { DatasetPlan } from '../../../lib/plan/dataset-plan.ts';
import type { ErrorBody } from '../../../schemas/errors.ts';
import type { Evidence, Note, Step } from '../../../schemas/plan.ts';
import type { Cursors } from '../bases/cursors.ts';
import { holdTag } from '../bases/holds.ts';
import type { Replan } from '../planning/replan.ts';
import type { ChainLog, JobLog } from '../reporting/job-log.ts';
import type { ReplicationStatus } from '../reporting/job-status.ts';
import type { Progress } from '../reporting/progress.ts';
import { type ChainDeps, type ChainNews, type ChainOrder, type RunningChain, startChain } from './chain.ts';
import { type Moves, scheduleOf } from './schedule.ts';

export interface ChainsOrder {
  readonly job: string;
  readonly targetHost: string;
  readonly plans: readonly DatasetPlan[];
  /** Chains at once. */
  readonly parallel: number;
  readonly progress: Progress;
  readonly status: ReplicationStatus;
  readonly replan: Replan;
  readonly cursors: Cursors;
  readonly jobLog: JobLog;
  readonly arrived: (step: Step) => void;
  readonly noted: (note: Note) => void;
  /** The first failure among all chains, by dataset. */
  readonly failed: (dataset: string, error: ErrorBody, evidence: Evidence | undefined) => void;
}

export interface RunningChains {
  /** The chains that run now, by their index in the plan. */
  readonly running: ReadonlyMap<number, RunningChain>;
  /** Resolves when all have ended and their holds are released. */
  readonly over: Promise<void>;
  abort(error: ErrorBody): void;
}

/** Runs the chains of a plan, some at once, as their schedule allows. */
export function runChains(deps: ChainDeps, order: ChainsOrder): RunningChains {
  const { plans, progress, status, jobLog } = order;
  const schedule = scheduleOf(plans, order.parallel);
  const running = new Map<number, RunningChain>();
  const over = Promise.withResolvers<void>();
  const transferIds = openTransferIds(order.job);

  function act({ start, lost }: Moves): void {
    reportLost(deps, order, lost);
    for (const chain of start) begin(chain);
    if (schedule.isOver) over.resolve();
  }

  function begin(chain: number): void {
    const plan = plans[chain];
    if (!plan) return;
    progress.began(chain);
    status.began(plan.sourceDataset);
    const says = jobLog.chain(plan);
    const started = startChain(deps, {
      ...chainOf(order, chain, plan),
      ...transferIds,
      chainLog: says,
      report: (news) => onNews(chain, plan, says, news),
    });
    running.set(chain, started);
  }

  function onNews(chain: number, { sourceDataset }: DatasetPlan, says: ChainLog, news: ChainNews): void {
    switch (news.type) {
      case 'planned':
        progress.planned(chain, news.steps);
        break;
      case 'noted':
        order.noted(news.note);
        break;
      case 'arrived':
        progress.arrived(chain, news.step, news.sent);
        order.arrived(news.step);
        act(schedule.arrived(chain, news.step.to.guid));
        break;
      case 'ended': {
        const { error, evidence } = news;
        const bytes = running.get(chain)?.bytes ?? 0;
        progress.ended(chain, bytes, error);
        status.ended(sourceDataset, bytes, error);
        running.delete(chain);
        if (error) {
          says.failed(error);
          order.failed(sourceDataset, error, evidence);
        }
        act(schedule.ended(chain, error));
        break;
      }
    }
  }

  act(schedule.begin());
  return {
    running,
    over: over.promise,
    abort(error) {
      act(schedule.abort(error));
      for (const chain of [...running.values()]) chain.abort(error);
    },
  };
}

/** The part of a chain's order that is known from the order of all chains. */
const chainOf = ({ job, targetHost, replan, cursors }: ChainsOrder, chain: number, plan: DatasetPlan) => ({
  job,
  targetHost,
  sourceDataset: plan.sourceDataset,
  steps: plan.steps,
  replan,
  tag: holdTag(job, chain, { host: targetHost, dataset: plan.targetDataset }),
  cursor: cursors.chain(),
});

/** The ids of the job's transfers. Of a transfer that holds a lock only the hash may be known. */
function openTransferIds(job: string): Pick<ChainOrder, 'transferId' | 'ours'> {
  const hashes = new Set<string>();
  return {
    transferId() {
      const id = `${job}t${hashes.size + 1}`;
      hashes.add(hashOfTransfer(id));
      return id;
    },
    ours: (transfer) => transfer.startsWith(job) || hashes.has(transfer),
  };
}

/** Reports the chains that never start. */
function reportLost({ fanOut }: ChainDeps, order: ChainsOrder, lost: Moves['lost']): void {
  order.jobLog.lost(lost.map(({ error }) => error));
  for (const { chain, error } of lost) {
    const dataset = order.plans[chain]?.sourceDataset ?? '';
    order.progress.ended(chain, 0, error);
    order.status.ended(dataset, 0, error);
    // the dataset that they needed may have ended without an error
    order.failed(dataset, error, undefined);
    fanOut?.left(dataset, false);
  }
}
