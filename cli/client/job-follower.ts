import type { Bus } from '../../lib/bus/connection/connect.ts';
import { onEvents } from '../../lib/bus/events/events.ts';
import { subjects } from '../../lib/bus/subjects.ts';
import { timing } from '../../lib/time/timing.ts';
import { hasReason, ZpsendError } from '../../schemas/errors.ts';
import { type Job, jobSchema, sendStatusSchema } from '../../schemas/job.ts';
import { type Followed, isEnded, observe, rootOf } from '../output/job-progress.ts';
import type { SenderRoute } from './sender.ts';

/** Jobs of which news may come before it is known that they are ours. */
const mostEarly = 1000;

export interface Watch {
  /** Follows a job to its end. @throws ZpsendError UNREACHABLE when its sender is gone */
  follow(job: string): Promise<Job>;
  /** What is known of the jobs that are followed, in the order in which they were begun. */
  readonly followed: () => Followed[];
  stop(): void;
}

/**
 * Hears of the jobs of one host from its events, and asks for their status besides. Begin before a job is started.
 * @param told given the lines about what has happened, after each piece of news
 */
export function watchJobs(bus: Bus, route: SenderRoute, told: (lines: string[]) => void): Watch {
  /** The newest of jobs that nobody follows yet, since an event can come before the answer that names its job. */
  const early = new Map<string, Job>();
  const known = new Map<string, Followed>();
  const open = new Map<string, { resolve: (job: Job) => void; reject: (error: ZpsendError) => void; since: number }>();

  function news(job: Job): void {
    const root = rootOf(job);
    const waiter = open.get(root);
    if (!waiter) {
      early.set(root, job);
      const [oldest] = early.keys();
      if (early.size > mostEarly && oldest !== undefined) early.delete(oldest);
      return;
    }
    // its successor tells how it ends
    if (job.error && hasReason(job.error, 'ABORTED', 'taken-over')) return;
    const { after, lines } = observe(known.get(root), job);
    known.set(root, after);
    waiter.since = performance.now();
    if (isEnded(after.job)) finish(root, (end) => end.resolve(after.job));
    told(lines);
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
      jobs.forEach(news);
    } catch {
      // silence is what counts; the next answer may come
      const since = open.get(job)?.since ?? Number.POSITIVE_INFINITY;
      if (performance.now() - since > timing.cli.jobSilenceMs) finish(job, (end) => end.reject(gone(route.host, job)));
    }
  }

  const stopEvents = onEvents(bus, subjects.event(route.host, 'job', '*'), jobSchema, ({ host, body }) => {
    if (body.host === host) news(body);
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
        if (first) news(first);
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
    `the sender on ${host} that ran job ${job} does not answer any more. Run the same command again: what has arrived ` +
      'is not sent twice.',
    { host, job },
  );
