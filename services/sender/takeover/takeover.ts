import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { onEvents } from '../../../lib/bus/events/events.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { timing } from '../../../lib/time/timing.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { type Job, jobSchema } from '../../../schemas/job.ts';
import type { Log } from '../../host/log.ts';
import type { Jobs } from '../job/registry.ts';
import { alike, inherited, openObservedJobs, rootOf, yieldsTo } from './observed-jobs.ts';

export interface TakeoverDeps {
  readonly host: string;
  readonly instance: string;
  readonly bus: Bus;
  readonly log: Log;
  readonly jobs: Pick<Jobs, 'start' | 'running' | 'yield'>;
  /** What the instances that live know of a job and its takeover; undefined where that is not clear. */
  readonly ask: (job: string) => Promise<Job[] | undefined>;
  /** Ends a job of another instance. */
  readonly abort: (job: Job) => void;
}

export interface Takeover {
  /** Nobody goes on with that job; its sender ends it, should that come back. @returns whether it was heard of */
  abandon(job: string): boolean;
  end(): void;
}

/** Instances do not look together: whoever is first goes on, and the others hear of it. */
const mostAbandoned = 1000;
const now = (): number => performance.now();

const isEnded = ({ state }: Job): boolean => state === 'done' || state === 'failed';

/**
 * Goes on with what was asked of another sender of this host that has died. A job is known by its events, which hold its request;
 * run again it finishes the work (I9).
 */
export function openTakeover(deps: TakeoverDeps): Takeover {
  const { host, instance, bus, log, jobs, ask } = deps;
  const heard = openObservedJobs(
    instance,
    timing.takeover.silenceMs + Math.random() * timing.takeover.spreadMs,
    bus.self?.machine.id,
  );
  /** Jobs whose end was asked for while their sender was silent. */
  const abandoned = new Set<string>();
  let looking = false;

  const stopEvents = onEvents(bus, subjects.event(host, 'job', '*'), jobSchema, ({ what, body }) => {
    if (body.host !== host) return;
    const runs = what === 'started' || what === 'progress';
    heard.news(body, !runs, now());
    if (!runs || body.instance === instance) return;
    if (!body.aborting && [body.job, rootOf(body)].some((id) => abandoned.has(id))) deps.abort(body);
    for (const own of jobs.running) {
      if (yieldsTo({ job: own.id, takesOver: own.takesOver }, body)) jobs.yield(own.id, body.job);
    }
  });

  async function look(): Promise<void> {
    if (!bus.connected) return heard.missedEvents(now());
    const lost = await Promise.all(heard.silent(now()).map(async (job) => ((await isKnown(job)) ? [] : [job.job])));
    // somebody else may have begun meanwhile
    const still = heard.silent(now()).filter(({ job }) => lost.flat().includes(job));
    for (const some of alike(still)) {
      // their targets may be too near to each other for one request
      if (!goOn(some) && some.length > 1) for (const one of some) goOn([one]);
    }
  }

  /** Its last news may have been missed, and so may its successor. */
  async function isKnown({ job }: Job): Promise<boolean> {
    const known = await ask(job);
    for (const one of known ?? []) heard.news(one, isEnded(one), now());
    return known?.length !== 0;
  }

  function goOn(silent: readonly Job[]): boolean {
    const [first] = silent;
    if (!first) return true;
    const [target, ...others] = silent.map(({ request }) => request.to);
    const to = target && others.length === 0 ? target : silent.map(({ request }) => request.to);
    try {
      const origin = { takesOver: silent.map(rootOf), ...(first.from !== undefined && { from: first.from }) };
      const ids = jobs.start({ ...inherited(first.request), to }, origin);
      for (const [at, one] of silent.entries()) {
        heard.news(one, true, now());
        log.warn(
          'job.taken-over',
          `sender ${one.instance} stopped reporting; job ${ids[at]} takes over job ${one.job}`,
        );
      }
      return true;
    } catch (thrown) {
      // with as many jobs as it may have it comes to these later
      log.debug('job.takeover-delayed', `cannot take over job ${first.job} yet: ${ZpsendError.from(thrown).message}`);
      return false;
    }
  }

  const timer = setInterval(() => {
    if (looking) return;
    looking = true;
    void look().finally(() => {
      looking = false;
    });
  }, timing.takeover.checkMs).unref();
  const stopWatching = bus.onReconnected(() => heard.missedEvents(now()));
  return {
    abandon(job) {
      if (!heard.abandon(job)) return false;
      abandoned.add(job);
      for (const oldest of abandoned) if (abandoned.size > mostAbandoned) abandoned.delete(oldest);
      return true;
    },
    end() {
      clearInterval(timer);
      stopWatching();
      stopEvents();
    },
  };
}
