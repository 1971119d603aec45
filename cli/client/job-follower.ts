import type { Bus } from '../../lib/bus/connection/connect.ts';
import { onEvents } from '../../lib/bus/events/events.ts';
import { subjects } from '../../lib/bus/subjects.ts';
import { timing } from '../../lib/time/timing.ts';
import { hasReason, ZpsendError } from '../../schemas/errors.ts';
import { type Job, jobSchema, sendStatusSchema } from '../../schemas/job.ts';
import { type Followed, isEnded, observe, rootOf } from '../output/job-progress.ts';
import type { SenderRoute } from './sender.ts';

/** Jobs of others whose events are kept, until the answers name our jobs. */
const maxEarly = 1000;

export interface JobFollower {
  /** Waits for the end of a job. @throws ZpsendError UNREACHABLE if its sender does not answer */
  follow(job: string): Promise<Job>;
  /** The followed jobs, in the order of their start. */
  readonly followed: () => Followed[];
  stop(): void;
}

/**
 * Follows jobs of one host through its events and through status requests. Call it before a job is started.
 * @param onLines gets the lines about each change
 */
export function followJobs(bus: Bus, route: SenderRoute, onLines: (lines: string[]) => void): JobFollower {
  /** The newest states of jobs that are not followed yet: an event can come before the answer that names its job. */
  const early = new Map<string, Job>();
  const known = new Map<string, Followed>();
  const open = new Map<string, { resolve: (job: Job) => void; reject: (error: ZpsendError) => void; since: number }>();

  function onJob(job: Job): void {
    const root = rootOf(job);
    const waiter = open.get(root);
    if (!waiter) {
      early.set(root, job);
      const [oldest] = early.keys();
      if (early.size > maxEarly && oldest !== undefined) early.delete(oldest);
      return;
    }
    // its successor reports the end
    if (job.error && hasReason(job.error, 'ABORTED', 'taken-over')) return;
    const { after, lines } = observe(known.get(root), job);
    known.set(root, after);
    waiter.since = performance.now();
    if (isEnded(after.job)) finish(root, (end) => end.resolve(after.job));
    onLines(lines);
  }

  function finish(
    job: string,
    how: (end: { resolve(job: Job): void; reject(error: ZpsendError): void }) => void,
  ): void {
    const end = open.get(job);
    open.delete(job);
    if (end) how(end);
  }

  async function poll(job: string): Promise<void> {
    try {
      const { jobs } = await route.ask('status', { job }, sendStatusSchema);
      jobs.forEach(onJob);
    } catch {
      // the next request may be answered
      const since = open.get(job)?.since ?? Number.POSITIVE_INFINITY;
      if (performance.now() - since > timing.cli.jobSilenceMs) finish(job, (end) => end.reject(gone(route.host, job)));
    }
  }

  const stopEvents = onEvents(bus, subjects.event(route.host, 'job', '*'), jobSchema, ({ host, body }) => {
    if (body.host === host) onJob(body);
  });
  const timer = setInterval(() => {
    for (const job of open.keys()) void poll(job);
  }, timing.cli.jobPollMs);
  route.lost.addEventListener('abort', () => {
    for (const job of open.keys()) finish(job, (end) => end.reject(gone(route.host, job)));
  });

  return {
    follow: (job) =>
      new Promise((resolve, reject) => {
        open.set(job, { resolve, reject, since: performance.now() });
        const first = early.get(job);
        if (first) onJob(first);
        if (open.has(job)) void poll(job);
      }),
    followed: () => [...known.values()],
    stop() {
      clearInterval(timer);
      stopEvents();
    },
  };
}

const gone = (host: string, job: string): ZpsendError =>
  new ZpsendError(
    'UNREACHABLE',
    `the sender of ${host} stopped answering during job ${job}. Run the same command again: it continues from what ` +
      'has arrived',
    { host, job },
  );
