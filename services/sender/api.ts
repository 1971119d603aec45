import { type Served, serve } from '../../lib/bus/rpc/serve.ts';
import { type SenderVerb, subjects } from '../../lib/bus/subjects.ts';
import { jobRequestSchema, jobStatusRequestSchema } from '../../schemas/job.ts';
import { type SendStart, sendRequestSchema, sendStartSchema } from '../../schemas/plan.ts';
import { policiesRequestSchema } from '../../schemas/policy.ts';
import { repairRequestSchema, staleRequestSchema } from '../../schemas/stale.ts';
import { repair, staleReply } from '../host/stale.ts';
import { findStaleMarks, repairStaleMark } from './bases/stale.ts';
import { planInParts } from './delivery/plan-in-parts.ts';
import type { JobDeps } from './job/job-run.ts';
import { type Jobs, openJobs } from './job/registry.ts';
import {
  abortAt,
  abortAtSiblings,
  askSiblings,
  jobsOnBoard,
  livingJobs as livingJobsOf,
  statusOf,
  unknownJob,
} from './job/siblings.ts';
import type { Policy } from './policies/policy.ts';
import { openPolicyRunner, type PolicyRunner } from './policies/runner.ts';
import { openTakeover, type Takeover } from './takeover/takeover.ts';

/** Plans at once: each lists both sides. */
const plansAtOnce = 4;

export interface Sender {
  readonly endpoints: Served[];
  /** The jobs that run on any instance of this host; undefined where nobody can say. */
  livingJobs(): Promise<Set<string> | undefined>;
  /** Aborts every job and resolves when their holds are released. */
  stop(): Promise<void>;
}

export interface SenderOptions extends Omit<JobDeps, 'livingJobs'> {
  readonly maxJobs: number;
  /** Serve only this instance's own subjects: the sender that a command runs for itself takes nobody else's jobs. */
  readonly private: boolean;
  /** The configuration file's policies, and how often each is run without a trigger, in milliseconds; for a sender that is not private. */
  readonly policies: readonly Policy[];
  readonly reconcileMs: number;
}

/** Whoever asked a private sender looks after its jobs. */
const nobody: Takeover = { abandon: () => false, end: () => {} };

/** What the verbs of a sender work with. */
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
    ? nobody
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
    endpoints: [...jobEndpoints(parts), ...upkeepEndpoints(parts), ...eachEndpoints(parts)],
    livingJobs,
    stop: () => {
      runner?.stop();
      takeover.end();
      return jobs.stop();
    },
  };
}

type Endpoint = Pick<Parameters<typeof serve>[1], 'request' | 'handle' | 'fromText' | 'atOnce'>;

/** Each verb under its own name for the queue group, and under this instance's. */
function both(
  { host, bus, instance, private: isPrivate }: SenderOptions,
  verb: SenderVerb,
  endpoint: Endpoint,
): Served[] {
  const subject = subjects.send(host, verb);
  const own = serve(bus, {
    ...endpoint,
    name: `send-${verb}-${instance}`,
    subject: subjects.instance(subject, instance),
  });
  return isPrivate ? [own] : [serve(bus, { ...endpoint, name: `send-${verb}`, subject, queue: 'sender' }), own];
}

const fromText = (job: string) => ({ job });

/** Plans a job, starts it, tells of it, aborts it. */
function jobEndpoints({ options, jobs, takeover }: SenderParts): Served[] {
  const { host, bus } = options;

  function start(asked: SendStart, from?: string): object {
    const [job, ...others] = jobs.start(asked, from === undefined ? {} : { from });
    return Array.isArray(asked.to) ? { jobs: [job, ...others], host } : { job, host };
  }
  async function abort({ job }: { job: string }) {
    if (jobs.abort(job)) return { job, aborted: true };
    const waited = takeover.abandon(job);
    const isKnown = await abortAtSiblings(options, job);
    if (!waited && !isKnown) throw unknownJob(job, host);
    return { job, aborted: true };
  }

  return [
    ...both(options, 'plan', {
      request: sendRequestSchema,
      atOnce: plansAtOnce,
      handle: (asked) => planInParts(options, sendRequestSchema.parse(asked)),
    }),
    ...both(options, 'start', {
      request: sendStartSchema,
      handle: async (asked) => start(sendStartSchema.parse(asked)),
    }),
    ...(options.private
      ? []
      : [
          serve(bus, {
            name: 'send-start-from',
            subject: subjects.sendFrom(host, '*'),
            queue: 'sender',
            request: sendStartSchema,
            // the server lets each host publish under its own name only
            handle: async (asked, subject) => start(sendStartSchema.parse(asked), subject.split('.').at(-1)),
          }),
        ]),
    ...both(options, 'status', {
      request: jobStatusRequestSchema,
      fromText,
      handle: async (asked) => statusOf(options, jobs, jobStatusRequestSchema.parse(asked)),
    }),
    ...both(options, 'abort', {
      request: jobRequestSchema,
      fromText,
      handle: async (asked) => abort(jobRequestSchema.parse(asked)),
    }),
  ];
}

/** What dead jobs have left, and what policies do. */
function upkeepEndpoints({ options, runner, staleMarks }: SenderParts): Served[] {
  const { host, bus, zfs } = options;
  return [
    ...both(options, 'stale', {
      request: staleRequestSchema,
      atOnce: 1,
      handle: async () => staleReply(host, await staleMarks(), bus.maxPayload),
    }),
    ...both(options, 'repair', {
      request: repairRequestSchema,
      atOnce: 1,
      handle: (asked) =>
        repair(host, repairRequestSchema.parse(asked).staleMarks, staleMarks, (staleMark) =>
          repairStaleMark(zfs, staleMark, options.bookmarks),
        ),
    }),
    ...(runner
      ? both(options, 'policies', { request: policiesRequestSchema, handle: async () => runner.status() })
      : []),
  ];
}

/** What each instance answers for itself. */
function eachEndpoints({ options: { host, bus }, jobs, takeover }: SenderParts): Served[] {
  return [
    serve(bus, {
      name: 'send-status-each',
      subject: subjects.each(subjects.send(host, 'status')),
      request: jobStatusRequestSchema,
      handle: async (asked) => ({ host, jobs: jobs.status(asked) }),
    }),
    serve(bus, {
      name: 'send-abort-each',
      subject: subjects.each(subjects.send(host, 'abort')),
      request: jobRequestSchema,
      handle: async ({ job }) => (jobs.abort(job) || takeover.abandon(job) ? { job, aborted: true } : undefined),
    }),
  ];
}
