import { setTimeout as sleep } from 'node:timers/promises';
import { publishEvent } from '../../lib/bus/events.ts';
import { type EventWhat, subjects } from '../../lib/bus/subjects.ts';
import { type ErrorBody, ZpsendError } from '../../schemas/errors.ts';
import type { Job } from '../../schemas/job.ts';
import type { SendRequest } from '../../schemas/plan.ts';
import type { Log } from '../host/log.ts';
import { sweepHolds } from './holds.ts';
import { begin, currentStep, type JobEffect, type JobEvent, type JobLimits, type JobState, next } from './job-state.ts';
import { narrator } from './narration.ts';
import { makePlan } from './planning.ts';
import { askForTransfer, type Transfer, type TransferDeps } from './transfer.ts';

export interface JobDeps extends TransferDeps {
  readonly instance: string;
  readonly log: Log;
  /** How long failures in a row are borne, in milliseconds. */
  readonly patienceMs: number;
  /** Which jobs run anywhere on this host: what a dead one left held may be released. */
  readonly livingJobs: () => Promise<Set<string>>;
}

export interface RunningJob {
  readonly id: string;
  status(): Job;
  abort(error: ErrorBody): void;
  /** Resolves when the job has ended and its holds are released. */
  readonly over: Promise<void>;
}

const progressMs = 500;

/** Starts one job and performs what its state machine asks for. */
export function startJob(deps: JobDeps, id: string, request: SendRequest): RunningJob {
  const { host, zfs } = deps;
  const began = performance.now();
  const over = Promise.withResolvers<void>();
  const wait = new AbortController();
  const tag = `zpsend:${id}`;
  const say = narrator(deps.log, request);
  const limits: JobLimits = { patience: deps.patienceMs, ours: (transfer) => transfer.startsWith(id) };
  let state: JobState = begin;
  let asked = 0;
  let transfer: Transfer | undefined;
  let held: string[] = [];
  let swept = false;
  /** Bytes of the transfers that have ended. */
  let bytesBefore = 0;
  /** Estimated bytes of the steps that are done. */
  let sizeDone = 0;

  /** What an ended job is remembered by: its plan, which may have many thousands of steps, is let go. */
  let last: Job | undefined;

  function status(): Job {
    if (last) return last;
    const current = currentStep(state);
    const size = sizeDone + state.steps.slice(state.index).reduce((sum, step) => sum + (step.size ?? 0), 0);
    const bytes = bytesBefore + (transfer?.sent ?? 0);
    const phases: Partial<Record<JobState['phase'], Job['state']>> = {
      planning: 'planning',
      waiting: 'waiting',
      done: 'done',
      failed: 'failed',
    };
    const phase = phases[state.phase] ?? 'running';
    return {
      job: id,
      host,
      instance: deps.instance,
      request,
      state: phase,
      steps: state.done + Math.max(0, state.steps.length - state.index),
      done: state.done,
      ...(current && { current }),
      bytes,
      size: Math.max(size, phase === 'done' ? bytes : 0),
      seconds: (performance.now() - began) / 1000,
      ...(phase === 'failed' && state.error && { error: state.error }),
      ...(phase === 'failed' && state.evidence && { evidence: state.evidence }),
      ...(phase === 'waiting' && state.error && { waiting: `${state.error.code}: ${state.error.message}` }),
    };
  }
  const tell = (what: EventWhat) => publishEvent(deps.bus, subjects.event(host, 'job', what), status());

  function feed(event: JobEvent): void {
    const [after, ...effects] = next(state, event, limits);
    state = after;
    for (const effect of effects) perform(effect);
  }
  const failed = (thrown: unknown): JobEvent => ({
    type: 'failed',
    error: ZpsendError.from(thrown).toBody(),
    now: performance.now(),
    moved: (transfer?.consumed ?? 0) > 0,
  });
  const fed = (work: Promise<JobEvent>): void => void work.catch(failed).then(feed);

  async function planned(): Promise<JobEvent> {
    const { plan, source, target } = await makePlan(deps, request);
    if (!swept) {
      swept = true;
      await sweepHolds(zfs, source, deps.livingJobs, deps.log);
    }
    say.listed(source, target);
    if (plan.ok) return { type: 'planned', steps: plan.steps };
    return { type: 'plan-refused', error: plan.error, ...(plan.evidence && { evidence: plan.evidence }) };
  }

  async function hold(): Promise<JobEvent> {
    const step = currentStep(state);
    if (step) {
      say.step(step);
      held = step.from?.kind === 'snapshot' ? [step.from.name, step.to.name] : [step.to.name];
      await zfs.hold(tag, held);
    }
    return { type: 'held' };
  }

  async function ask(discard: boolean): Promise<JobEvent> {
    const step = currentStep(state);
    if (!step) return { type: 'ready' };
    asked += 1;
    say.asking(step);
    const plan = { transfer: `${id}t${asked}`, job: id, target: request.to.host, step, discard };
    transfer = await askForTransfer(deps, plan);
    if (transfer.stalePartial) return { type: 'ready-with-stale-partial' };
    say.ready(transfer.resumedAt);
    return { type: 'ready' };
  }

  async function send(): Promise<JobEvent> {
    const step = currentStep(state);
    await transfer?.run();
    if (step) say.arrived(step);
    sizeDone += step?.size ?? transfer?.sent ?? 0;
    return { type: 'arrived' };
  }

  async function release(): Promise<JobEvent> {
    bytesBefore += transfer?.sent ?? 0;
    transfer = undefined;
    try {
      if (held.length > 0) await zfs.release(tag, held);
      held = [];
    } catch (error) {
      deps.log.warn(`cannot release ${tag}: ${ZpsendError.from(error).message}; the next run will`);
    }
    return { type: 'released' };
  }

  function report(): void {
    clearInterval(ticker);
    const job = status();
    last = job;
    state = { ...state, steps: [] };
    say.ended(job);
    tell(job.state === 'done' ? 'done' : 'failed');
    over.resolve();
  }

  function perform(effect: JobEffect): void {
    switch (effect.type) {
      case 'plan':
        fed(planned());
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
        if (state.error) say.waiting(state.error);
        fed(sleep(effect.ms, undefined, { signal: wait.signal }).then((): JobEvent => ({ type: 'waited' })));
        break;
      case 'report':
        report();
        break;
    }
  }

  const ticker = setInterval(() => tell('progress'), progressMs);
  tell('started');
  perform({ type: 'plan' });
  return {
    id,
    status,
    over: over.promise,
    abort(error) {
      wait.abort();
      feed({ type: 'abort', error });
    },
  };
}

const stale: ErrorBody = {
  code: 'RESUME_STALE',
  message: 'the partial state on the target is not of this step',
  retryable: true,
};
