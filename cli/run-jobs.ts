import { setTimeout as sleep } from 'node:timers/promises';
import { type ErrorBody, ZpsendError } from '../schemas/errors.ts';
import { type Job, jobAbortedSchema, sendStartedSchema } from '../schemas/job.ts';
import type { SendRequest } from '../schemas/plan.ts';
import type { SenderRoute } from './sender-route.ts';
import type { Watch } from './watch.ts';

/** How one target's job ended. A job that could not be started, or was lost, is an error alone. */
export interface Outcome {
  readonly request: SendRequest;
  readonly job?: Job;
  readonly error?: ErrorBody;
}

/** How long an abort may take, in milliseconds. */
const abortMs = 15_000;
/** How often, and for how long, a sender that runs as many jobs as it may is asked again, in milliseconds. */
const busyMs = 2000;
const busyPatienceMs = 600_000;

/** Starts a job for each request and follows all of them; an abort of `signal` ends them cleanly. */
export function runJobs(
  route: SenderRoute,
  watch: Watch,
  requests: readonly SendRequest[],
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<Outcome[]> {
  return Promise.all(
    requests.map(async (request): Promise<Outcome> => {
      try {
        const { job } = await start(route, request, signal, say);
        return asOutcome(request, await Promise.race([watch.follow(job), aborted(route, job, signal)]));
      } catch (thrown) {
        return { request, error: ZpsendError.from(thrown).toBody() };
      }
    }),
  );
}

const asOutcome = (request: SendRequest, job: Job): Outcome =>
  job.error ? { request, job, error: job.error } : { request, job };

async function start(route: SenderRoute, request: SendRequest, signal: AbortSignal, say: (line: string) => void) {
  const began = performance.now();
  for (let tries = 0; ; tries++) {
    try {
      return await route.ask('start', request, sendStartedSchema);
    } catch (thrown) {
      const isBusy = thrown instanceof ZpsendError && thrown.code === 'BUSY';
      if (!isBusy || signal.aborted || performance.now() - began > busyPatienceMs) throw thrown;
      if (tries === 0) say(`${request.to.host}: ${thrown.message}; asking again until it has room`);
      await sleep(busyMs, undefined, { signal }).catch(() => {});
    }
  }
}

/** Asks for the job's end once `signal` is aborted; rejects when that takes too long. */
function aborted(route: SenderRoute, job: string, signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const abort = () => {
      route.ask('abort', { job }, jobAbortedSchema).catch(() => {});
      const late = new ZpsendError(
        'ABORTED',
        `job ${job} on ${route.host} was asked to end and has not said so yet: zpsend status ${route.host}`,
      );
      setTimeout(() => reject(late), abortMs).unref();
    };
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
}
