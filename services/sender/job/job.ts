import { publishEvent } from '../../../lib/bus/events/events.ts';
import { type EventWhat, subjects } from '../../../lib/bus/subjects.ts';
import { timing } from '../../../lib/time/timing.ts';
import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import type { Job } from '../../../schemas/job.ts';
import type { SendRequest } from '../../../schemas/plan.ts';
import { turnsOfOne } from '../planning/plan-turns.ts';
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
  /** The same without what may be long: evidence, notes, patterns, the list of datasets. */
  summary(): Job;
  abort(error: ErrorBody): void;
  /** Resolves when the job has ended and its holds are released. */
  readonly over: Promise<void>;
}

/** Starts one job: plans once for all its datasets, then runs their chains. */
export function startJob(options: JobDeps, id: string, request: SendRequest): RunningJob {
  const stop = new AbortController();
  const run = openRun(options, id, request, stop.signal);
  const { deps, say, board } = run;
  const over = Promise.withResolvers<void>();
  /** What an ended job is remembered by: its plan, which may have many thousands of steps, is let go. */
  let last: Job | undefined;

  const status = (): Job => last ?? describeJob(run, undefined, true);
  const tell = (what: EventWhat) => publishEvent(deps.bus, subjects.event(deps.host, 'job', what), status());

  function end(outcome: Outcome): void {
    deps.fan?.gone();
    clearInterval(ticker);
    board.over(outcome.error);
    last = describeJob(run, outcome, true);
    run.chains = undefined;
    run.progress = progressOf([]);
    say.ended(last);
    tell(last.state === 'done' ? 'done' : 'failed');
    over.resolve();
  }

  const ticker = setInterval(() => tell('progress'), timing.job.progressMs);
  tell('started');
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
      const { exclude: ___, snapshots: ____, properties: _____, ...asked } = request;
      return { ...job, request: asked, datasets: { ...job.datasets, list: [] } };
    },
    over: over.promise,
    abort(error) {
      run.aborted ??= error;
      stop.abort(ZpsendError.fromBody(error));
      run.chains?.abort(error);
      // before whoever asked for it has an answer: were this sender killed now, another would go on
      if (!last) tell('progress');
    },
  };
}

function openRun(options: JobDeps, id: string, request: SendRequest, signal: AbortSignal): JobRun {
  const { turns, since } = turnsOfOne(options.turns, signal);
  const deps: JobDeps = { ...options, turns, log: options.log.child({ job: id, source: options.host }) };
  const began = performance.now();
  const started = new Date();
  const said = jobLog(deps.log, request);
  return {
    id,
    request,
    deps,
    signal,
    since,
    began,
    started,
    say: deps.startedBy === 'policy' ? quietJobLog(said) : said,
    compression: openJobCompression(request.compression ?? deps.compressionMode),
    board: openJobStatus(deps, id, request),
    delivery: undefined,
    progress: progressOf([]),
    chains: undefined,
    waiting: undefined,
    aborted: undefined,
    first: undefined,
    notes: [],
    seen: undefined,
    arrived: [],
  };
}
