import { setTimeout as sleep } from 'node:timers/promises';
import { timing } from '../../lib/time/timing.ts';
import { type ErrorBody, ZpsendError } from '../../schemas/errors.ts';
import { fanStartedSchema, type Job, jobAbortedSchema, sendStartedSchema } from '../../schemas/job.ts';
import { maxTargets, type SendRequest } from '../../schemas/request.ts';
import type { JobFollower } from './job-follower.ts';
import type { SenderRoute } from './sender.ts';

/** The result for one target. A job that did not start, or was lost, has only an error. */
export interface Outcome {
  readonly request: SendRequest;
  readonly job?: Job;
  readonly error?: ErrorBody;
}

/**
 * Starts a job for each request, and follows all of them. An abort of `signal` ends them cleanly.
 * @param requests one for each target, otherwise equal: started together, they share each read of a step
 */
export async function runJobs(
  route: SenderRoute,
  follower: JobFollower,
  requests: readonly SendRequest[],
  signal: AbortSignal,
  log: (line: string) => void,
): Promise<Outcome[]> {
  const outcomes = batches(requests).map(async (some): Promise<Outcome[]> => {
    try {
      const jobs = await start(route, some, signal, log);
      return await Promise.all(some.map((request, at) => follow(request, jobs[at] ?? '')));
    } catch (thrown) {
      return some.map((request) => ({ request, error: ZpsendError.from(thrown).toBody() }));
    }
  });
  async function follow(request: SendRequest, job: string): Promise<Outcome> {
    try {
      return asOutcome(request, await Promise.race([follower.follow(job), aborted(route, job, signal)]));
    } catch (thrown) {
      return { request, error: ZpsendError.from(thrown).toBody() };
    }
  }
  return (await Promise.all(outcomes)).flat();
}

/** Of at most as many targets as one request may name. */
const batches = (requests: readonly SendRequest[]): SendRequest[][] =>
  Array.from({ length: Math.ceil(requests.length / maxTargets) }, (_, at) =>
    requests.slice(at * maxTargets, (at + 1) * maxTargets),
  );

const asOutcome = (request: SendRequest, job: Job): Outcome =>
  job.error ? { request, job, error: job.error } : { request, job };

/**
 * Starts a job for each request, without following them.
 * @throws ZpsendError the refusal of the sender
 */
export async function startJobs(
  route: SenderRoute,
  requests: readonly SendRequest[],
  signal: AbortSignal,
  log: (line: string) => void,
): Promise<string[]> {
  const jobs: string[] = [];
  for (const some of batches(requests)) jobs.push(...(await start(route, some, signal, log)));
  return jobs;
}

/** @returns the jobs, in the order of the requests */
async function start(
  route: SenderRoute,
  requests: readonly SendRequest[],
  signal: AbortSignal,
  log: (line: string) => void,
): Promise<string[]> {
  const [request] = requests;
  const hosts = requests.map(({ to }) => to.host).join(', ');
  const began = performance.now();
  for (let tries = 0; ; tries++) {
    try {
      if (requests.length === 1) return [(await route.ask('start', { ...request }, sendStartedSchema)).job];
      const to = requests.map((each) => each.to);
      return (await route.ask('start', { ...request, to }, fanStartedSchema)).jobs;
    } catch (thrown) {
      const isBusy = thrown instanceof ZpsendError && thrown.code === 'BUSY';
      if (!isBusy || signal.aborted || performance.now() - began > timing.cli.senderBusyPatienceMs) throw thrown;
      if (tries === 0) log(`${hosts}: ${thrown.message}; retrying`);
      await sleep(timing.cli.senderBusyMs, undefined, { signal }).catch(() => {});
    }
  }
}

/** Aborts the job once `signal` is aborted. Rejects if that takes too long. */
function aborted(route: SenderRoute, job: string, signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const abort = () => {
      route.ask('abort', { job }, jobAbortedSchema).catch(() => {});
      const late = new ZpsendError(
        'ABORTED',
        `job ${job} on ${route.host} is being aborted, but has not ended yet: zpsend status ${route.host} shows it`,
      );
      setTimeout(() => reject(late), timing.cli.abortMs).unref();
    };
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
}
