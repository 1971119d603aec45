import { publishEvent } from '../../../lib/bus/events/events.ts';
import { type EventWhat, subjects } from '../../../lib/bus/subjects.ts';
import type { JobContext } from '../../../lib/plan/request/job-context.ts';
import { timing } from '../../../lib/time/timing.ts';
import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import type { Job } from '../../../schemas/job.ts';
import { turnsOfJob } from '../planning/plan-turns.ts';
import { jobLog } from '../reporting/job-log.ts';
import { openJobStatus } from '../reporting/job-status.ts';
import { progressOf } from '../reporting/progress.ts';
import { quietJobLog } from '../reporting/quiet-job-log.ts';
import { openJobCompression } from '../transfer/compression.ts';
import { describeJob } from './describe-job.ts';
import type { JobDeps, JobRun, Outcome } from './job-run.ts';
import { runJob } from './run-job.ts';

export interface RunningJob {
  readonly id: string;
  readonly takesOver: string | undefined;
  readonly isOver: boolean;
  status(): Job;
  /** The same without the fields that may be long: evidence, notes, patterns, the list of datasets. */
  summary(): Job;
  abort(error: ErrorBody): void;
  /** Resolves when the job has ended and its holds are released. */
  readonly over: Promise<void>;
}

/** Starts one job: plans once for all its datasets, then runs their chains. */
export function startJob(options: JobDeps, id: string, context: JobContext): RunningJob {
  const stop = new AbortController();
  const run = openRun(options, id, context, stop.signal);
  const { deps } = run;
  const over = Promise.withResolvers<void>();
  /** The status of an ended job. Its plan, which may have many thousands of steps, is dropped. */
  let last: Job | undefined;

  const status = (): Job => last ?? describeJob(run, undefined, true);
  const publish = (what: EventWhat) => publishEvent(deps.bus, subjects.event(deps.host, 'job', what), status());

  function end(outcome: Outcome): void {
    deps.fanOut?.ended();
    stopProgress();
    run.status.over(outcome.error);
    last = describeJob(run, outcome, true);
    run.chains = undefined;
    run.progress = progressOf([]);
    run.jobLog.ended(last);
    publish(last.state === 'done' ? 'done' : 'failed');
    over.resolve();
  }

  const stopProgress = deps.clock.every(timing.job.progressMs, () => publish('progress'));
  publish('started');
  void runJob(run).then(end, (thrown) => end({ error: run.aborted ?? ZpsendError.from(thrown).toBody() }));
  return {
    id,
    takesOver: deps.takesOver,
    get isOver() {
      return last !== undefined;
    },
    status,
    summary() {
      const { evidence: _, notes: __, ...job } = last ?? describeJob(run, undefined, false);
      const { exclude: ___, snapshots: ____, properties: _____, ...asked } = context.request;
      return { ...job, request: asked, datasets: { ...job.datasets, list: [] } };
    },
    over: over.promise,
    abort(error) {
      run.aborted ??= error;
      stop.abort(ZpsendError.fromBody(error));
      run.chains?.abort(error);
      // before the abort is answered: if this sender were killed now, another one would take the job over
      if (!last) publish('progress');
    },
  };
}

function openRun(options: JobDeps, id: string, context: JobContext, signal: AbortSignal): JobRun {
  const { turns, waitingSince } = turnsOfJob(options.turns, options.clock, signal);
  const deps: JobDeps = { ...options, turns, log: options.log.child({ job: id, source: context.sourceHost }) };
  const began = deps.clock.now();
  const started = new Date(deps.clock.date());
  const log = jobLog(deps.log, context);
  return {
    id,
    context,
    deps,
    signal,
    waitingSince,
    began,
    started,
    jobLog: deps.startedBy === 'policy' ? quietJobLog(log) : log,
    compression: openJobCompression(context.request.compression ?? deps.compressionMode),
    status: openJobStatus(deps, id, context),
    delivery: undefined,
    progress: progressOf([]),
    chains: undefined,
    waiting: undefined,
    aborted: undefined,
    firstFailure: undefined,
    notes: [],
    latestPlan: undefined,
    arrived: [],
  };
}
