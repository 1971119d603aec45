import { setTimeout as sleep } from 'node:timers/promises';
import type { Job } from '../../schemas/job.ts';
import { isOver, type Jobs } from './jobs.ts';

/** How long anything may take, in seconds: a lock has to expire, a leader to be found, a dead job's segments to be swept. */
const patience = 180;
const everyMs = 2000;

/** Asks until there is nothing to complain of, or patience has ended; gives the complaints that remain. */
export async function settled(complaints: () => Promise<string[]>): Promise<string[]> {
  const end = performance.now() + patience * 1000;
  for (;;) {
    const now = await complaints().catch((error: unknown) => [String(error)]);
    if (now.length === 0 || performance.now() > end) return now;
    await sleep(everyMs);
  }
}

/** The first job that has sent something and not all of it; undefined where all were too quick. */
export async function inTheMiddle(jobs: Jobs): Promise<Job | undefined> {
  for (let tries = 0; tries < (patience * 1000) / 50; tries++) {
    const received = jobs.received();
    const running = received.find((job) => job.state === 'running' && job.bytes > 0);
    // a policy's job may begin with a check that finds nothing
    if (running || received.some((job) => isOver(job) && job.done > 0)) return running;
    await sleep(50);
  }
  return undefined;
}

/** Waits for the end of jobs, by whomever they are brought there; complaints about those that do not end well. */
export async function endings(jobs: Jobs, ids: readonly string[]): Promise<string[]> {
  const each = ids.map((id) =>
    settled(async () => {
      const job = await jobs.status(id);
      return isOver(job)
        ? []
        : [`job ${id} does not end: ${job?.waiting?.message ?? job?.state ?? 'no sender knows it'}`];
    }),
  );
  const open = (await Promise.all(each)).flat();
  const over = await Promise.all(ids.map((id) => jobs.status(id)));
  const failed = over.flatMap((job) =>
    job?.error ? [`job ${job.job} to ${job.request.to.host} failed: ${job.error.code}: ${job.error.message}`] : [],
  );
  return [...open, ...failed];
}
