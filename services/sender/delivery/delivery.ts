import type { Peer } from '../../../lib/bus/rpc/machine-header.ts';
import type { JobContext } from '../../../lib/plan/request/job-context.ts';
import type { Clock } from '../../../lib/time/clock.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import type { Step } from '../../../schemas/plan.ts';
import type { Log } from '../../host/log.ts';
import { type Cursors, noCursors, openCursors } from '../bases/cursors.ts';
import { makePlans, type Planned, type PlanningDeps } from '../planning/plan-job.ts';
import { askForTransfer } from '../transfer/direct.ts';
import type { Transfer, TransferDeps, TransferPlan } from '../transfer/transfer.ts';

/** How the steps of a job reach their target: how they are planned, and by which channel they are sent. */
export interface Delivery {
  readonly channel: 'direct' | 'store';
  /** The target's machine, once it has answered; undefined where the target is not asked. */
  readonly peer?: Peer;
  /**
   * @param arrived steps of the job that have reached their target
   * @throws ZpsendError the error of a listing; a refused plan is a result, not an error
   */
  plan(arrived?: readonly Step[]): Promise<Planned>;
  ask(deps: TransferDeps, plan: TransferPlan): Promise<Transfer>;
  readonly cursors: Cursors;
  /** Records that the target of that plan has these steps now. Never fails. */
  arrived(planned: Planned, steps: readonly Step[]): Promise<void>;
}

export interface DeliveryDeps extends PlanningDeps {
  readonly zfs: Zfs;
  readonly log: Log;
  readonly clock: Clock;
  /** Keep a bookmark of each target's newest snapshot. */
  readonly bookmarks: boolean;
}

/** Through the receiver of the machine that answers first, and of no other machine with that host name. */
export function directDelivery(deps: DeliveryDeps, context: JobContext, signal: AbortSignal): Delivery {
  const { targetHost } = context;
  const peer: Peer = { host: targetHost };
  return {
    channel: 'direct',
    peer,
    plan: (arrived) => makePlans(deps, context, peer, arrived),
    ask: (transferDeps, plan) => askForTransfer(transferDeps, plan, peer),
    cursors: deps.bookmarks
      ? openCursors({ zfs: deps.zfs, log: deps.log, clock: deps.clock, targetHost, signal })
      : noCursors,
    arrived: async () => {},
  };
}
