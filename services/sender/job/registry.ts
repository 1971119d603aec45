import type { JobContext } from '../../../lib/plan/request/job-context.ts';
import { timing } from '../../../lib/time/timing.ts';
import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import type { Job, JobStatusRequest } from '../../../schemas/job.ts';
import type { CurrentSettings } from '../../host/current-settings.ts';
import { newId } from '../../host/ids.ts';
import { checkRequest } from '../planning/send-rules.ts';
import { openFanOutGroup } from '../transfer/fan-out/group.ts';
import { shareListing } from '../transfer/fan-out/shared-listing.ts';
import { type RunningJob, startJob } from './job.ts';
import { type JobDeps, type JobSettings, jobSettingsOf } from './job-run.ts';

/** Ended jobs that `send.status` still reports. */
const rememberedJobs = 100;

/** The start of a job, other than a request of this host. */
interface JobOrigin {
  /** The host that ordered it on its own subject. */
  readonly from?: string;
  readonly startedBy?: 'policy';
  /** For each target the job that is taken over. */
  readonly takesOver?: readonly string[];
}

/** What all jobs share. */
export interface JobsDeps extends Omit<JobDeps, keyof JobSettings> {
  readonly settings: CurrentSettings;
}

/** The dependencies that each job has for itself. */
type OwnDeps = JobSettings & Pick<JobDeps, 'zfs' | 'fanOut' | 'startedBy' | 'takesOver' | 'from'>;

/** The jobs of this instance. */
export interface Jobs {
  /**
   * Starts a job for each target of one request.
   * @throws ZpsendError BUSY when there is no room for all of them, NOT_ALLOWED by `send.allow`; a job that takes another one over
   * starts, and fails with NOT_ALLOWED
   */
  start(contexts: readonly JobContext[], origin?: JobOrigin): RunningJob[];
  readonly running: readonly RunningJob[];
  /** One job in full; or all of them in short, since all together may not fit in one message. */
  status(asked: JobStatusRequest): Job[];
  /** False when there is no such job, or it has ended. */
  abort(job: string): boolean;
  /** Ends a job that another instance has taken over. */
  yield(job: string, successor: string): void;
  /** Accepts no more jobs, aborts all of them and resolves when their holds are released. */
  stop(): Promise<void>;
}

/** Of a fan-out, for its slow members. */
const waits = { gatherMs: timing.job.gatherMs, answerMs: timing.job.participantMs };

export function openJobs(deps: JobsDeps, maxJobs: number): Jobs {
  const { host } = deps;
  const jobs = new Map<string, RunningJob>();
  let stopping = false;
  const running = () => [...jobs.values()].filter((job) => !job.isOver);

  /** A job by its id, or its newest successor. */
  const find = (id: string): RunningJob | undefined =>
    [...jobs.values()].findLast((job) => job.id === id || job.takesOver === id);

  function begin(id: string, context: JobContext, more: OwnDeps): RunningJob {
    const job = startJob({ ...deps, ...more }, id, context);
    jobs.set(id, job);
    for (const [known, old] of jobs) {
      if (jobs.size <= rememberedJobs) break;
      if (old.isOver) jobs.delete(known);
    }
    return job;
  }

  return {
    start(contexts, { startedBy, takesOver, from } = {}) {
      const settings = jobSettingsOf(deps.settings.now);
      if (!takesOver) for (const context of contexts) checkRequest(settings.allow, context, from);
      if (stopping) throw new ZpsendError('BUSY', `the sender on ${host} is stopping`);
      checkRoom(host, running().length, contexts.length, maxJobs);
      const named = contexts.map((context) => ({ id: newId(), context }));
      const [first, ...others] = named;
      const members =
        first && others.length > 0 ? openFanOutGroup({ ...deps, ...waits, id: first.id, size: named.length }) : [];
      const zfs = shareListing(deps.zfs);
      return named.map(({ id, context }, at) =>
        begin(id, context, {
          ...settings,
          zfs: zfs(),
          fanOut: members[at],
          takesOver: takesOver?.[at],
          ...(startedBy && { startedBy }),
          from,
        }),
      );
    },
    get running() {
      return running();
    },
    status({ job, running: onlyRunning }) {
      if (job === undefined) return (onlyRunning ? running() : [...jobs.values()]).map((known) => known.summary());
      const known = find(job);
      return known && !(onlyRunning && known.isOver) ? [known.status()] : [];
    },
    abort(id) {
      const job = find(id);
      if (!job || job.isOver) return false;
      job.abort(abortedByRequest(host, id, job.status().channel));
      return true;
    },
    yield(id, successor) {
      const message = `another sender on ${host} had no news of job ${id}, and has taken it over as ${successor}`;
      jobs.get(id)?.abort(new ZpsendError('ABORTED', message, { reason: 'taken-over', successor }).toBody());
    },
    async stop() {
      stopping = true;
      const error = new ZpsendError('ABORTED', `the sender on ${host} was stopped; send again to continue`).toBody();
      const ending = running();
      for (const job of ending) job.abort(error);
      await Promise.all(ending.map((job) => job.over));
    },
  };
}

/** @throws ZpsendError BUSY when there is no room for `count` more jobs */
function checkRoom(host: string, running: number, count: number, maxJobs: number): void {
  if (running + count <= maxJobs) return;
  throw new ZpsendError(
    'BUSY',
    `the sender on ${host} runs ${running} jobs already, and its limit is ${maxJobs}` +
      (count > 1 ? `: no room for ${count} more` : ''),
  );
}

function abortedByRequest(host: string, id: string, channel: Job['channel']): ErrorBody {
  const then =
    channel === 'store' ? 'starts with the first incomplete stream' : 'continues after the last arrived snapshot';
  return new ZpsendError('ABORTED', `job ${id} on ${host} was aborted by request. Sent again, it ${then}`).toBody();
}
