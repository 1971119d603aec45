import { setTimeout as sleep } from 'node:timers/promises';
import { isRefusal } from '../../../lib/plan/refusal.ts';
import type { SendRules } from '../../../lib/settings/send-allow.ts';
import { type ErrorBody, isThere, ZpsendError } from '../../../schemas/errors.ts';
import type { Evidence, Note, Step } from '../../../schemas/plan.ts';
import type { ChainCursor } from '../bases/cursors.ts';
import { type Held, releaseStep } from '../bases/holds.ts';
import { isReadOnly, readOnlyNote } from '../bases/read-only.ts';
import { limitToApproved } from '../planning/approved-rollbacks.ts';
import type { Replan } from '../planning/replan.ts';
import { checkStep } from '../planning/send-rules.ts';
import type { ChainLog } from '../reporting/job-log.ts';
import type { FanMember } from '../transfer/fan-out/group.ts';
import type { Transfer, TransferDeps, TransferPlan } from '../transfer/transfer.ts';
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
  /** Has a step's transfer settled, by the channel that the job uses. @throws ZpsendError */
  readonly ask: (deps: TransferDeps, plan: TransferPlan) => Promise<Transfer>;
  /** What may be sent where, and which host ordered this job on its own subject. */
  readonly allow?: SendRules;
  readonly from?: string | undefined;
  /** Jobs to other targets, with which reads are shared. */
  readonly fan?: FanMember | undefined;
}

/** The steps of one dataset, and what its job gives it. */
export interface ChainOrder {
  readonly job: string;
  /** The host that receives. */
  readonly to: string;
  readonly dataset: string;
  /** What the job has planned for it; planned again when something surprises. */
  readonly steps: readonly Step[];
  readonly replan: Replan;
  /** The tag of its holds. */
  readonly tag: string;
  /** A new id for every transfer. */
  readonly transferId: () => string;
  /** Is it one of the job's, by its id or by the hash that a lock has of it? */
  readonly ours: (transfer: string) => boolean;
  readonly cursor: ChainCursor;
  readonly say: ChainLog;
  readonly told: (news: ChainNews) => void;
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
  /** What it waits for. */
  readonly waiting: ErrorBody | undefined;
  /** When it waits no longer, in monotonic milliseconds; undefined where that has no end. */
  readonly waitsUntil: number | undefined;
  abort(error: ErrorBody): void;
}

/** Starts one chain and performs what its state machine asks for. */
export function startChain(deps: ChainDeps, order: ChainOrder): RunningChain {
  const { zfs } = deps;
  const { say, tag, told } = order;
  const wait = new AbortController();
  const limits: ChainLimits = { patience: deps.patienceMs, ours: order.ours };
  let state: ChainState = begin;
  let planned: readonly Step[] | undefined = order.steps;
  /** The target has settled what another's rollback left: the next plan is made after that. Once. */
  let anew: 'not yet' | 'next' | 'over' = 'not yet';
  /** What was sent whole and not heard of, or is there already: its target may have nothing newer. */
  let unheard: Step | undefined;
  /** What is gone, and can be sent no more. */
  let vanished: Note | undefined;
  let transfer: Transfer | undefined;
  let held: readonly Held[] = [];
  /** Bytes of the transfers that have ended. */
  let bytesBefore = 0;

  function feed(event: ChainEvent): void {
    const [after, ...effects] = next(state, event, limits);
    state = after;
    for (const effect of effects) attempt(effect);
  }
  /** What goes wrong before anything of it is under delivery is the end of this chain, not of the process with all its jobs. */
  function attempt(effect: ChainEffect): void {
    try {
      perform(effect);
    } catch (thrown) {
      deps.log.error(
        'effect.failed',
        `${order.dataset}: ${effect.type} could not be done: ${ZpsendError.from(thrown).message}`,
      );
      feed(failed(thrown));
    }
  }
  function failed(thrown: unknown): ChainEvent {
    const moved = (transfer?.consumed ?? 0) > 0;
    const error = ZpsendError.from(thrown).toBody();
    if (isUnsettled(error) && state.done === 0 && anew === 'not yet') anew = 'next';
    if ((state.phase === 'transferring' && transfer?.isWhole) || isThere(error)) unheard = currentStep(state);
    return { type: 'failed', error, now: performance.now(), moved };
  }
  const fed = (work: Promise<ChainEvent>): void => void work.catch(failed).then(feed);

  async function plan(): Promise<ChainEvent> {
    const found = planned ? { steps: planned } : await order.replan(order);
    // no later plan may lose more than the one that the chain began with
    const steps = isRefusal(found)
      ? found
      : limitToApproved(order.steps, found.steps, { isAnew: anew === 'next', ours: limits.ours });
    vanished = 'note' in found ? found.note : undefined;
    if (anew === 'next') anew = 'over';
    if (isRefusal(steps)) {
      return { type: 'plan-refused', error: steps.error, ...(steps.evidence && { evidence: steps.evidence }) };
    }
    if (!planned && state.phase === 'planning') told({ type: 'planned', steps });
    planned = undefined;
    return { type: 'planned', steps };
  }

  async function hold(): Promise<ChainEvent> {
    const step = currentStep(state);
    if (step) {
      say.step(step);
      const needed: Held[] = step.from?.kind === 'snapshot' ? [step.from, step.to] : [step.to];
      const names = needed.map(({ name }) => name);
      const before = held;
      held = [...held.filter(({ name }) => !names.includes(name)), ...needed];
      try {
        // also what we hold already: who took us for dead has released it
        await zfs.hold(tag, names);
      } catch (thrown) {
        if (!isReadOnly(thrown)) throw thrown;
        // nothing can be destroyed there either
        held = before;
        told({ type: 'noted', note: readOnlyNote(step.to.name, deps.host) });
      }
    }
    return { type: 'held' };
  }

  async function ask(discard: boolean): Promise<ChainEvent> {
    const step = currentStep(state);
    if (!step) return { type: 'ready' };
    checkStep(deps.allow, deps.host, order.to, step, deps.from);
    // while a target is cleared it takes nothing, for as long as ZFS takes: nobody shall wait for that
    if (step.before) deps.fan?.alone(step);
    const participant = step.before ? undefined : await deps.fan?.meet(step);
    say.asking(step);
    transfer = await deps.ask(deps, {
      transfer: order.transferId(),
      job: order.job,
      target: order.to,
      step,
      discard,
      participant,
    });
    if (transfer.stalePartial) return { type: 'ready-with-stale-partial' };
    say.ready(transfer.resumedAt);
    return { type: 'ready' };
  }

  async function send(): Promise<ChainEvent> {
    const step = currentStep(state);
    await transfer?.run();
    if (step) {
      say.arrived(step);
      order.cursor.arrived(step);
      told({ type: 'arrived', step, sent: transfer?.sent ?? 0 });
    }
    return { type: 'arrived' };
  }

  async function release(): Promise<ChainEvent> {
    bytesBefore += transfer?.sent ?? 0;
    transfer = undefined;
    deps.fan?.left(order.dataset, goesOn(state));
    const base = goesOn(state) ? currentStep(state)?.from : undefined;
    await releaseHolds(base?.kind === 'snapshot' ? base.name : undefined);
    return { type: 'released' };
  }

  /**
   * Releases what is held, but not what the next step starts from: were it destroyed between two steps, the target would have
   * nothing in common with the source. What arrived last, or may have, has its bookmark before its hold goes, or is left held.
   */
  async function releaseHolds(base: string | undefined): Promise<void> {
    const bare = [
      await order.cursor.settle(base !== undefined),
      unheard && (await order.cursor.markTentative(unheard)),
    ];
    unheard = undefined;
    for (const name of bare) {
      if (name !== undefined && held.some((one) => one.name === name))
        deps.log.warn('hold.kept', `${name} stays held by ${tag} until a later job has set its cursor bookmark`, {
          snapshot: name,
        });
    }
    const stays = ({ name }: Held): boolean => name === base || bare.includes(name);
    const gone = held.filter((one) => !stays(one));
    held = held.filter(stays);
    await releaseStep(zfs, tag, gone, deps.log);
  }

  async function report(): Promise<void> {
    // aborted between two steps
    deps.fan?.left(order.dataset, false);
    if (held.length > 0) await releaseHolds(undefined);
    const { error, evidence } = state;
    if (vanished && !error) told({ type: 'noted', note: vanished });
    told({ type: 'ended', ...(error && { error }), ...(evidence && { evidence }) });
  }

  function perform(effect: ChainEffect): void {
    switch (effect.type) {
      case 'plan':
        fed(plan());
        break;
      case 'hold':
        fed(hold());
        break;
      case 'ask':
        fed(ask(effect.discard));
        break;
      case 'transfer':
        fed(send());
        break;
      case 'cancel':
        transfer?.cancel(state.aborted ?? stale);
        break;
      case 'release':
        fed(release());
        break;
      case 'wait':
        if (state.waits) say.waiting(state.waits.error, state.waits.until);
        fed(sleep(effect.ms, undefined, { signal: wait.signal }).then((): ChainEvent => ({ type: 'waited' })));
        break;
      case 'report':
        report().catch((thrown) =>
          deps.log.error(
            'status.write-failed',
            `${order.dataset}: its end could not be told: ${ZpsendError.from(thrown).message}`,
          ),
        );
        break;
    }
  }

  perform({ type: 'plan' });
  return {
    get phase() {
      return state.phase;
    },
    get current() {
      return currentStep(state);
    },
    get bytes() {
      return bytesBefore + (transfer?.sent ?? 0);
    },
    get waiting() {
      return state.waits?.error ?? transfer?.waiting;
    },
    get waitsUntil() {
      return state.waits?.until;
    },
    abort(error) {
      wait.abort();
      feed({ type: 'abort', error });
      deps.fan?.left(order.dataset, false);
    },
  };
}

const stale: ErrorBody = {
  code: 'RESUME_STALE',
  message: 'the partial state on the target is not of this step',
  retryable: true,
};
