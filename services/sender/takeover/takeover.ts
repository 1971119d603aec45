import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { onEvents } from '../../../lib/bus/events/events.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import type { Refusal } from '../../../lib/plan/refusal.ts';
import { unvalidatedContextOf } from '../../../lib/plan/request/accept-request.ts';
import { assertNoOverlap } from '../../../lib/plan/request/target-overlap.ts';
import { requestFault } from '../../../lib/plan/request/validate-request.ts';
import type { Clock } from '../../../lib/time/clock.ts';
import { timing } from '../../../lib/time/timing.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { type Job, jobSchema } from '../../../schemas/job.ts';
import type { Log } from '../../host/log.ts';
import type { Jobs } from '../job/registry.ts';
import { alike, inherited, type ObservedJobs, openObservedJobs, rootOf, yieldsTo } from './observed-jobs.ts';

export interface TakeoverDeps {
  readonly host: string;
  readonly instance: string;
  readonly bus: Bus;
  readonly log: Log;
  readonly clock: Clock;
  readonly jobs: Pick<Jobs, 'start' | 'running' | 'yield'>;
  /** The replies of the running instances about a job and its successors; undefined if one did not answer. */
  readonly ask: (job: string) => Promise<Job[] | undefined>;
  /** Ends a job of another instance. */
  readonly abort: (job: Job) => void;
}

export interface Takeover {
  /** The job is not taken over, and ends if its sender comes back. @returns whether it is known */
  abandon(job: string): boolean;
  end(): void;
}

/** Known aborted jobs: older ones are dropped. */
const mostAbandoned = 1000;

const isEnded = ({ state }: Job): boolean => state === 'done' || state === 'failed';

/**
 * Takes over the jobs of another sender of this host that has died. A job's events have its request, which finishes the work when
 * it is run again (I9).
 */
export function openTakeover(deps: TakeoverDeps): Takeover {
  const { host, instance, bus, jobs, ask, clock } = deps;
  const observed = openObservedJobs(
    instance,
    timing.takeover.silenceMs + Math.random() * timing.takeover.spreadMs,
    bus.self?.machine.id,
  );
  /** Jobs that were aborted while their sender was silent. */
  const abandoned = new Set<string>();
  let isChecking = false;

  const stopEvents = onEvents(bus, subjects.event(host, 'job', '*'), jobSchema, ({ what, body }) => {
    if (body.host !== host) return;
    const runs = what === 'started' || what === 'progress';
    observed.news(body, !runs, clock.now());
    if (!runs || body.instance === instance) return;
    if (!body.aborting && [body.job, rootOf(body)].some((id) => abandoned.has(id))) deps.abort(body);
    for (const own of jobs.running) {
      if (yieldsTo({ job: own.id, takesOver: own.takesOver }, body)) jobs.yield(own.id, body.job);
    }
  });

  async function check(): Promise<void> {
    if (!bus.connected) return observed.missedEvents(clock.now());
    const lost = await Promise.all(
      observed.silent(clock.now()).map(async (job) => ((await isKnown(job)) ? [] : [job.job])),
    );
    // another instance may have taken them over meanwhile
    const still = observed.silent(clock.now()).filter(({ job }) => lost.flat().includes(job));
    for (const some of alike(still)) {
      // their targets may overlap, so that one request is not possible
      if (!takeOver(deps, observed, some) && some.length > 1) for (const one of some) takeOver(deps, observed, [one]);
    }
  }

  /** Its last event may have been missed, and so may its successor. */
  async function isKnown({ job }: Job): Promise<boolean> {
    const known = await ask(job);
    for (const one of known ?? []) observed.news(one, isEnded(one), clock.now());
    return known?.length !== 0;
  }

  const stopChecks = clock.every(timing.takeover.checkMs, () => {
    if (isChecking) return;
    isChecking = true;
    void check().finally(() => {
      isChecking = false;
    });
  });
  const stopWatching = bus.onReconnected(() => observed.missedEvents(clock.now()));
  return {
    abandon(job) {
      if (!observed.abandon(job)) return false;
      abandoned.add(job);
      for (const oldest of abandoned) if (abandoned.size > mostAbandoned) abandoned.delete(oldest);
      return true;
    },
    end() {
      stopChecks();
      stopWatching();
      stopEvents();
    },
  };
}

/**
 * Starts the successors of silent jobs, whose requests differ only in their targets. A request that is invalid in this release has a
 * successor too, which fails.
 * @returns false if none was started
 */
function takeOver({ host, log, clock, jobs }: TakeoverDeps, observed: ObservedJobs, silent: readonly Job[]): boolean {
  const [first] = silent;
  if (!first) return true;
  try {
    const origin = { takesOver: silent.map(rootOf), ...(first.from !== undefined && { from: first.from }) };
    const contexts = silent.map(({ request }) => unvalidatedContextOf(host, inherited(request)));
    assertNoOverlap(contexts);
    const faults = contexts.map(requestFault);
    const successors = jobs.start(contexts, origin);
    for (const [at, one] of silent.entries()) {
      observed.news(one, true, clock.now());
      logTakeover(log, one, successors[at]?.id, faults[at]);
    }
    return true;
  } catch (thrown) {
    // a sender with the most jobs that it may run tries again later
    log.debug('job.takeover-delayed', `cannot take over job ${first.job} yet: ${ZpsendError.from(thrown).message}`);
    return false;
  }
}

function logTakeover(log: Log, { job, instance }: Job, successor: string | undefined, fault?: Refusal): void {
  const line = `sender ${instance} stopped reporting; job ${successor} takes over job ${job}`;
  if (!fault) {
    log.warn('job.taken-over', line);
    return;
  }
  const { code, message } = fault.error;
  const refused = `${line}, and fails, because this release refuses its request: ${code}: ${message}`;
  log.warn('job.takeover-invalid', refused, { code });
}
