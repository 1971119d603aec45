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
import { type ChainDeps, type ChainNews, type RunningChain, startChain } from './chain.ts';
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
  const { job, plans, progress, status, jobLog } = order;
  const schedule = scheduleOf(plans, order.parallel);
  const running = new Map<number, RunningChain>();
  const over = Promise.withResolvers<void>();
  /** Of the ids of the job's transfers. */
  const hashes = new Set<string>();

  function transferId(): string {
    const id = `${job}t${hashes.size + 1}`;
    hashes.add(hashOfTransfer(id));
    return id;
  }

  function act({ start, lost }: Moves): void {
    jobLog.lost(lost.map(({ error }) => error));
    for (const { chain, error } of lost) {
      progress.ended(chain, 0, error);
      status.ended(plans[chain]?.sourceDataset ?? '', 0, error);
      // the dataset that they needed may have ended without an error
      order.failed(plans[chain]?.sourceDataset ?? '', error, undefined);
      deps.fanOut?.left(plans[chain]?.sourceDataset ?? '', false);
    }
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
      job,
      targetHost: order.targetHost,
      sourceDataset: plan.sourceDataset,
      steps: plan.steps,
      replan: order.replan,
      tag: holdTag(job, chain, { host: order.targetHost, dataset: plan.targetDataset }),
      transferId,
      ours: (transfer) => transfer.startsWith(job) || hashes.has(transfer),
      cursor: order.cursors.chain(),
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
