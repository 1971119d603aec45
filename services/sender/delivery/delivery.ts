import type { Peer } from '../../../lib/bus/rpc/machine-header.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import type { SendRequest, Step } from '../../../schemas/plan.ts';
import type { Log } from '../../host/log.ts';
import { type Cursors, noCursors, openCursors } from '../bases/cursors.ts';
import { makePlans, type Planned, type PlanningDeps } from '../planning/plan-job.ts';
import { askForTransfer } from '../transfer/direct.ts';
import type { Transfer, TransferDeps, TransferPlan } from '../transfer/transfer.ts';

/** How the steps of a job reach their target: planned against what, and by which channel. */
export interface Delivery {
  readonly channel: 'direct' | 'store';
  /** The target's machine, once it has answered; undefined where the target is not asked. */
  readonly peer?: Peer;
  /**
   * @param arrived steps of the job that have reached their target
   * @throws ZpsendError what a listing failed with; a refused plan is a result, not an error
   */
  plan(arrived?: readonly Step[]): Promise<Planned>;
  ask(deps: TransferDeps, plan: TransferPlan): Promise<Transfer>;
  readonly cursors: Cursors;
  /** The target, seen by the plan it was given, has these steps now. Never fails. */
  arrived(planned: Planned, steps: readonly Step[]): Promise<void>;
}

export interface DeliveryDeps extends PlanningDeps {
  readonly zfs: Zfs;
  readonly log: Log;
  /** Keep a bookmark of what each target has. */
  readonly bookmarks: boolean;
}

/** Through the receiver that answers: that of the machine that answered first, and of no other of its name. */
export function directDelivery(deps: DeliveryDeps, request: SendRequest, signal: AbortSignal): Delivery {
  const { host } = request.to;
  const peer: Peer = { host };
  return {
    channel: 'direct',
    peer,
    plan: (arrived) => makePlans(deps, request, peer, arrived),
    ask: (transferDeps, plan) => askForTransfer(transferDeps, plan, peer),
    cursors: deps.bookmarks ? openCursors({ zfs: deps.zfs, log: deps.log, targetHost: host, signal }) : noCursors,
    arrived: async () => {},
  };
}
