import { isRefusal } from '../../../lib/plan/refusal.ts';
import type { SendRules } from '../../../lib/settings/send-allow.ts';
import { type ErrorBody, hasReason, ZpsendError } from '../../../schemas/errors.ts';
import type { Evidence, Note, Step } from '../../../schemas/plan.ts';
import type { ChainCursor } from '../bases/cursors.ts';
import { limitToApproved } from '../planning/approved-rollbacks.ts';
import type { Replan } from '../planning/replan.ts';
import { checkStep } from '../planning/send-rules.ts';
import type { ChainLog } from '../reporting/job-log.ts';
import type { FanOutMember } from '../transfer/fan-out/group.ts';
import type { Transfer, TransferDeps, TransferPlan } from '../transfer/transfer.ts';
import { type ChainHolds, openChainHolds } from './chain-holds.ts';
import {
  begin,
  type ChainEffect,
  type ChainEvent,
  type ChainLimits,
  type ChainPhase,
  type ChainState,
  currentStep,
  goesOn,
  next,
} from './chain-state.ts';
import { isUnsettled } from './error-policy.ts';

export interface ChainDeps extends TransferDeps {
  /** Prepares a step's transfer, on the channel of the job. @throws ZpsendError */
  readonly ask: (deps: TransferDeps, plan: TransferPlan) => Promise<Transfer>;
  /** The rules for sending, and the host that ordered this job on its own subject. */
  readonly allow?: SendRules;
  readonly from?: string | undefined;
  /** Jobs to other targets, with which reads are shared. */
  readonly fanOut?: FanOutMember | undefined;
}

/** The steps of one dataset, and the functions of its job. */
export interface ChainOrder {
  readonly job: string;
  /** The host that receives. */
  readonly targetHost: string;
  readonly sourceDataset: string;
  /** Its steps in the job's plan; it plans again when a listing turns out to be outdated. */
  readonly steps: readonly Step[];
  readonly replan: Replan;
  /** The tag of its holds. */
  readonly tag: string;
  /** A new id for every transfer. */
  readonly transferId: () => string;
  /** Is it a transfer of this job, by its id or by the hash in a lock? */
  readonly ours: (transfer: string) => boolean;
  readonly cursor: ChainCursor;
  readonly chainLog: ChainLog;
  readonly report: (news: ChainNews) => void;
}

export type ChainNews =
  | { readonly type: 'noted'; readonly note: Note }
  | { readonly type: 'planned'; readonly steps: readonly Step[] }
  /** `sent`: bytes of the stream. */
  | { readonly type: 'arrived'; readonly step: Step; readonly sent: number }
  | { readonly type: 'ended'; readonly error?: ErrorBody; readonly evidence?: Evidence };

export interface RunningChain {
  readonly phase: ChainPhase;
  readonly current: Step | undefined;
  /** Bytes sent so far. */
  readonly bytes: number;
  /** Why it waits. */
  readonly waiting: ErrorBody | undefined;
  /** When the wait ends, in monotonic ms; undefined if it has no end. */
  readonly waitsUntil: number | undefined;
  abort(error: ErrorBody): void;
}

/** One chain while it runs. */
interface ChainRun {
  readonly deps: ChainDeps;
  readonly order: ChainOrder;
  readonly holds: ChainHolds;
  state: ChainState;
  /** The job's plan, until it is used; later plans are made again. */
  planned: readonly Step[] | undefined;
  /** The target has settled another job's unfinished rollback, and the next plan takes that into account. Once. */
  anew: 'not yet' | 'next' | 'over';
  /** Snapshots that no longer exist, and are not sent. */
  vanished: Note | undefined;
  transfer: Transfer | undefined;
  /** Bytes of the transfers that have ended. */
  bytesBefore: number;
}

/** Starts one chain and performs the effects of its state machine. */
export function startChain(deps: ChainDeps, order: ChainOrder): RunningChain {
  const wait = new AbortController();
  const limits: ChainLimits = { patience: deps.patienceMs, ours: order.ours };
  const run = openRun(deps, order);

  function feed(event: ChainEvent): void {
    const [after, ...effects] = next(run.state, event, limits);
    run.state = after;
    for (const effect of effects) attempt(effect);
  }
  /** An error that an effect throws at once ends this chain, not the process with all its jobs. */
  function attempt(effect: ChainEffect): void {
    try {
      perform(effect);
    } catch (thrown) {
      deps.log.error(
        'effect.failed',
        `${order.sourceDataset}: ${effect.type} could not be done: ${ZpsendError.from(thrown).message}`,
      );
      feed(failed(run, thrown));
    }
  }
  function unreported(thrown: unknown): void {
    const { message } = ZpsendError.from(thrown);
    deps.log.error('status.write-failed', `${order.sourceDataset}: its end could not be reported: ${message}`);
  }
  function perform(effect: ChainEffect): void {
    if (effect.type === 'cancel') run.transfer?.cancel(run.state.aborted ?? stale);
    else if (effect.type === 'report') report(run).catch(unreported);
    else
      void workOf(run, effect, wait.signal)
        .catch((thrown) => failed(run, thrown))
        .then(feed);
  }

  perform({ type: 'plan' });
  return {
    get phase() {
      return run.state.phase;
    },
    get current() {
      return currentStep(run.state);
    },
    get bytes() {
      return run.bytesBefore + (run.transfer?.sent ?? 0);
    },
    get waiting() {
      return run.state.waits?.error ?? run.transfer?.waiting;
    },
    get waitsUntil() {
      return run.state.waits?.until;
    },
    abort(error) {
      wait.abort();
      feed({ type: 'abort', error });
      deps.fanOut?.left(order.sourceDataset, false);
    },
  };
}

const openRun = (deps: ChainDeps, order: ChainOrder): ChainRun => ({
  deps,
  order,
  holds: openChainHolds({
    zfs: deps.zfs,
    log: deps.log,
    host: deps.host,
    tag: order.tag,
    cursor: order.cursor,
    noted: (note) => order.report({ type: 'noted', note }),
  }),
  state: begin,
  planned: order.steps,
  anew: 'not yet',
  vanished: undefined,
  transfer: undefined,
  bytesBefore: 0,
});

/** Performs an effect. @returns the event that results */
function workOf(
  run: ChainRun,
  effect: Exclude<ChainEffect, { type: 'cancel' | 'report' }>,
  signal: AbortSignal,
): Promise<ChainEvent> {
  switch (effect.type) {
    case 'plan':
      return plan(run);
    case 'hold':
      return hold(run);
    case 'ask':
      return ask(run, effect.discard);
    case 'transfer':
      return send(run);
    case 'release':
      return release(run);
    case 'wait':
      if (run.state.waits) run.order.chainLog.waiting(run.state.waits.error, run.state.waits.until);
      return run.deps.clock.sleep(effect.ms, signal).then((): ChainEvent => ({ type: 'waited' }));
  }
}

function failed(run: ChainRun, thrown: unknown): ChainEvent {
  const { state, transfer } = run;
  const moved = (transfer?.consumed ?? 0) > 0;
  const error = ZpsendError.from(thrown).toBody();
  if (isUnsettled(error) && state.done === 0 && run.anew === 'not yet') run.anew = 'next';
  if ((state.phase === 'transferring' && transfer?.isWhole) || hasReason(error, 'EXISTS', 'has-snapshot'))
    run.holds.mayHaveArrived(currentStep(state));
  return { type: 'failed', error, now: run.deps.clock.now(), moved };
}

async function plan(run: ChainRun): Promise<ChainEvent> {
  const { order } = run;
  const found = run.planned ? { steps: run.planned } : await order.replan(order);
  // no later plan may destroy more than the chain's first one
  const steps = isRefusal(found)
    ? found
    : limitToApproved(order.steps, found.steps, { isAnew: run.anew === 'next', ours: order.ours });
  run.vanished = 'note' in found ? found.note : undefined;
  if (run.anew === 'next') run.anew = 'over';
  if (isRefusal(steps)) {
    return { type: 'plan-refused', error: steps.error, ...(steps.evidence && { evidence: steps.evidence }) };
  }
  if (!run.planned && run.state.phase === 'planning') order.report({ type: 'planned', steps });
  run.planned = undefined;
  return { type: 'planned', steps };
}

async function hold({ order, holds, state }: ChainRun): Promise<ChainEvent> {
  const step = currentStep(state);
  if (step) {
    order.chainLog.step(step);
    await holds.take(step);
  }
  return { type: 'held' };
}

async function ask(run: ChainRun, discard: boolean): Promise<ChainEvent> {
  const { deps, order } = run;
  const step = currentStep(run.state);
  if (!step) return { type: 'ready' };
  checkStep(deps.allow, deps.host, order.targetHost, step, deps.from);
  // while a conflict is resolved the target receives nothing, and the others should not wait for that
  if (step.before) deps.fanOut?.sendsAlone(step);
  const participant = step.before ? undefined : await deps.fanOut?.gather(step);
  order.chainLog.asking(step);
  const transfer = await deps.ask(deps, {
    transfer: order.transferId(),
    job: order.job,
    targetHost: order.targetHost,
    step,
    discard,
    participant,
  });
  run.transfer = transfer;
  if (transfer.stalePartial) return { type: 'ready-with-stale-partial' };
  order.chainLog.ready(transfer.resumedAt);
  return { type: 'ready' };
}

async function send(run: ChainRun): Promise<ChainEvent> {
  const { order } = run;
  const step = currentStep(run.state);
  await run.transfer?.run();
  if (step) {
    order.chainLog.arrived(step);
    order.cursor.arrived(step);
    order.report({ type: 'arrived', step, sent: run.transfer?.sent ?? 0 });
  }
  return { type: 'arrived' };
}

async function release(run: ChainRun): Promise<ChainEvent> {
  run.bytesBefore += run.transfer?.sent ?? 0;
  run.transfer = undefined;
  run.deps.fanOut?.left(run.order.sourceDataset, goesOn(run.state));
  const base = goesOn(run.state) ? currentStep(run.state)?.from : undefined;
  await run.holds.release(base?.kind === 'snapshot' ? base.name : undefined);
  return { type: 'released' };
}

async function report(run: ChainRun): Promise<void> {
  const { deps, order, holds } = run;
  // aborted between two steps
  deps.fanOut?.left(order.sourceDataset, false);
  if (!holds.isEmpty) await holds.release(undefined);
  const { error, evidence } = run.state;
  if (run.vanished && !error) order.report({ type: 'noted', note: run.vanished });
  order.report({ type: 'ended', ...(error && { error }), ...(evidence && { evidence }) });
}

const stale: ErrorBody = {
  code: 'RESUME_STALE',
  message: 'the partial state on the target is not of this step',
  retryable: true,
};
