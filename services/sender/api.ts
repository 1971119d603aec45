import type { Served } from '../../lib/bus/rpc/serve.ts';
import { serveVerb, type VerbService } from '../../lib/bus/rpc/serve-verbs.ts';
import { type SenderVerb, subjects } from '../../lib/bus/subjects.ts';
import { jobContextsOf, requestPerTarget } from '../../lib/plan/request/accept-request.ts';
import { jobRequestSchema, jobStatusRequestSchema } from '../../schemas/job.ts';
import { policiesRequestSchema } from '../../schemas/policy.ts';
import { type SendStart, sendRequestSchema, sendStartSchema } from '../../schemas/request.ts';
import { repairRequestSchema, staleRequestSchema } from '../../schemas/stale.ts';
import { repair, staleReply } from '../host/stale.ts';
import { findStaleMarks, repairStaleMark } from './bases/stale.ts';
import { planInParts } from './delivery/plan-in-parts.ts';
import { jobSettingsOf } from './job/job-run.ts';
import { type Jobs, type JobsDeps, openJobs } from './job/registry.ts';
import {
  abortAt,
  abortAtSiblings,
  askSiblings,
  jobsOnBoard,
  livingJobs as livingJobsOf,
  statusOf,
  unknownJob,
} from './job/siblings.ts';
import { openPolicyRunner, type PolicyRunner } from './policies/runner.ts';
import { openTakeover, type Takeover } from './takeover/takeover.ts';

/** Simultaneous plans: each lists both sides. */
const plansAtOnce = 4;

export interface Sender {
  readonly endpoints: Served[];
  /** The jobs that run on any instance of this host; undefined where an instance did not answer. */
  livingJobs(): Promise<Set<string> | undefined>;
  /** Aborts every job and resolves when their holds are released. */
  stop(): Promise<void>;
}

export interface SenderOptions extends Omit<JobsDeps, 'livingJobs'> {
  readonly maxJobs: number;
  /** Serve only this instance's own subjects: the private sender of a command accepts no jobs of others. */
  readonly private: boolean;
}

/** The command that runs a private sender looks after its jobs. */
const noTakeover: Takeover = { abandon: () => false, end: () => {} };

/** The parts of a sender that its verbs use. */
interface SenderParts {
  readonly options: SenderOptions;
  readonly jobs: Jobs;
  readonly takeover: Takeover;
  /** Undefined for a sender that is private. */
  readonly runner: PolicyRunner | undefined;
  readonly staleMarks: () => ReturnType<typeof findStaleMarks>;
}

/** Serves `zfs.<host>.send.*`: plans, and runs jobs. */
export function serveSender(options: SenderOptions): Sender {
  const livingJobs = () => livingJobsOf(options, jobs);
  const known = options.private ? () => jobsOnBoard(options) : async () => undefined;
  const jobs = openJobs(
    { ...options, livingJobs, ...(options.private && { startedBy: 'command' as const }) },
    options.maxJobs,
  );
  const runner = options.private ? undefined : openPolicyRunner({ ...options, jobs });
  const takeover = options.private
    ? noTakeover
    : openTakeover({
        ...options,
        jobs,
        ask: (job) => askSiblings(options, job),
        abort: (job) => abortAt(options, job),
      });
  const parts: SenderParts = {
    options,
    jobs,
    takeover,
    runner,
    staleMarks: () => findStaleMarks(options.zfs, { living: livingJobs, known }),
  };
  return {
    endpoints: [...jobEndpoints(parts), ...upkeepEndpoints(parts)],
    livingJobs,
    stop: () => {
      runner?.stop();
      takeover.end();
      return jobs.stop();
    },
  };
}

/** How its verbs are served. */
const serviceOf = ({ bus, instance, private: isPrivate }: SenderOptions): VerbService => ({
  bus,
  queue: 'sender',
  instance,
  isPrivate,
});

const named = ({ host }: SenderOptions, verb: SenderVerb) => ({
  name: `send-${verb}`,
  subject: subjects.send(host, verb),
});

const fromText = (job: string) => ({ job });

/** Plans a job, starts it, reports on it, aborts it. */
function jobEndpoints({ options, jobs, takeover }: SenderParts): Served[] {
  const { host } = options;
  const service = serviceOf(options);

  async function start(asked: SendStart, from?: string): Promise<object> {
    const contexts = jobContextsOf(host, requestPerTarget(asked));
    const ids = jobs.start(contexts, from === undefined ? {} : { from }).map(({ id }) => id);
    return Array.isArray(asked.to) ? { jobs: ids, host } : { job: ids[0], host };
  }
  async function abort({ job }: { job: string }) {
    if (jobs.abort(job)) return { job, aborted: true };
    const waited = takeover.abandon(job);
    const isKnown = await abortAtSiblings(options, job);
    if (!waited && !isKnown) throw unknownJob(job, host);
    return { job, aborted: true };
  }

  return [
    ...serveVerb(service, {
      ...named(options, 'plan'),
      request: sendRequestSchema,
      atOnce: plansAtOnce,
      handle: (asked) => planInParts({ ...options, ...jobSettingsOf(options.settings.now) }, asked),
    }),
    ...serveVerb(service, {
      ...named(options, 'start'),
      request: sendStartSchema,
      handle: (asked) => start(asked),
      from: { subject: subjects.sendFrom(host, '*'), handle: start },
    }),
    ...serveVerb(service, {
      ...named(options, 'status'),
      request: jobStatusRequestSchema,
      fromText,
      handle: (asked) => statusOf(options, jobs, asked),
      each: async (asked) => ({ host, jobs: jobs.status(asked) }),
    }),
    ...serveVerb(service, {
      ...named(options, 'abort'),
      request: jobRequestSchema,
      fromText,
      handle: abort,
      each: async ({ job }) => (jobs.abort(job) || takeover.abandon(job) ? { job, aborted: true } : undefined),
    }),
  ];
}

/** Stale marks, and the state of policies. */
function upkeepEndpoints({ options, runner, staleMarks }: SenderParts): Served[] {
  const { host, bus, zfs, settings } = options;
  const service = serviceOf(options);
  return [
    ...serveVerb(service, {
      ...named(options, 'stale'),
      request: staleRequestSchema,
      atOnce: 1,
      handle: async () => staleReply(host, await staleMarks(), bus.maxPayload),
    }),
    ...serveVerb(service, {
      ...named(options, 'repair'),
      request: repairRequestSchema,
      atOnce: 1,
      handle: (asked) =>
        repair(host, asked.staleMarks, staleMarks, (staleMark) =>
          repairStaleMark(zfs, staleMark, settings.now.config.send.bookmarks),
        ),
    }),
    ...(runner
      ? serveVerb(service, {
          ...named(options, 'policies'),
          request: policiesRequestSchema,
          handle: async () => runner.status(),
        })
      : []),
  ];
}
