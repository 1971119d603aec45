import { assertNoOverlap } from '../../../lib/plan/request/target-overlap.ts';
import { timing } from '../../../lib/time/timing.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { Job, JobStatusRequest } from '../../../schemas/job.ts';
import type { SendRequest, SendStart } from '../../../schemas/plan.ts';
import { newId } from '../../host/ids.ts';
import { checkRequest } from '../planning/send-rules.ts';
import { openFanOutGroup } from '../transfer/fan-out/group.ts';
import { shareListing } from '../transfer/fan-out/shared-listing.ts';
import { type RunningJob, startJob } from './job.ts';
import type { JobDeps } from './job-run.ts';

/** Ended jobs that `send.status` still tells of. */
const rememberedJobs = 100;

/** Where a request came from, if nobody has asked for it just now. */
interface JobOrigin {
  /** The host that ordered it on its own subject. */
  readonly from?: string;
  readonly startedBy?: 'policy';
  /** For each target the job whose sender has died. */
  readonly takesOver?: readonly string[];
}

/** The jobs of this instance. */
export interface Jobs {
  /**
   * Starts a job for each target, and gives their ids.
   * @throws ZpsendError BUSY when there is no room for all of them, BAD_REQUEST for targets that overlap, NOT_ALLOWED by `send.allow`;
   * a job that goes on with another one starts, and fails with NOT_ALLOWED
   */
  start(asked: SendStart, origin?: JobOrigin): string[];
  readonly running: readonly RunningJob[];
  /** One job in full; or all of them in short, since all together may not fit in one message. */
  status(asked: JobStatusRequest): Job[];
  /** False when there is no such job, or it has ended. */
  abort(job: string): boolean;
  /** Ends a job with which another instance goes on. */
  yield(job: string, successor: string): void;
  /** Takes no more jobs, aborts every one and resolves when their holds are released. */
  stop(): Promise<void>;
}

/** Of a fan-out, for its slow members. */
const waits = { gatherMs: timing.job.gatherMs, answerMs: timing.job.participantMs };

export function openJobs(deps: JobDeps, maxJobs: number): Jobs {
  const { host } = deps;
  const jobs = new Map<string, RunningJob>();
  let stopping = false;
  const running = () => [...jobs.values()].filter((job) => !job.isOver);

  function checkRoom(count: number): void {
    if (stopping) throw new ZpsendError('BUSY', `the sender on ${host} is stopping`);
    if (running().length + count <= maxJobs) return;
    throw new ZpsendError(
      'BUSY',
      `the sender on ${host} runs ${running().length} jobs already, and its limit is ${maxJobs}` +
        (count > 1 ? `: no room for ${count} more` : ''),
    );
  }

  /** One by its id, or the newest of those that go on with it. */
  const find = (id: string): RunningJob | undefined =>
    [...jobs.values()].findLast((job) => job.id === id || job.takesOver === id);

  function begin(
    id: string,
    request: SendRequest,
    more: Pick<JobDeps, 'zfs' | 'fan' | 'startedBy' | 'takesOver' | 'from'>,
  ): void {
    jobs.set(id, startJob({ ...deps, ...more }, id, request));
    for (const [known, old] of jobs) {
      if (jobs.size <= rememberedJobs) break;
      if (old.isOver) jobs.delete(known);
    }
  }

  return {
    start({ to, ...what }, { startedBy, takesOver, from } = {}) {
      const requests = [to].flat().map((target) => ({ ...what, to: target }));
      assertNoOverlap(requests);
      if (!takesOver) for (const request of requests) checkRequest(deps.allow, host, request, from);
      checkRoom(requests.length);
      const started = requests.map((request) => ({ id: newId(), request }));
      const [first, ...others] = started;
      const members =
        first && others.length > 0 ? openFanOutGroup({ ...deps, ...waits, id: first.id, size: started.length }) : [];
      const zfs = shareListing(deps.zfs);
      for (const [at, { id, request }] of started.entries()) {
        begin(id, request, {
          zfs: zfs(),
          fan: members[at],
          takesOver: takesOver?.[at],
          ...(startedBy && { startedBy }),
          from,
        });
      }
      return started.map(({ id }) => id);
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
      const then =
        job.status().channel === 'store' ? 'begins with what is not stored whole' : 'goes on from what has arrived';
      job.abort(
        new ZpsendError('ABORTED', `job ${id} was aborted by request on ${host}; sent again, it ${then}`).toBody(),
      );
      return true;
    },
    yield(id, successor) {
      const words = `another sender on ${host} heard nothing of job ${id} for a while, and goes on with it as ${successor}`;
      jobs.get(id)?.abort(new ZpsendError('ABORTED', words, { reason: 'taken-over', successor }).toBody());
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
