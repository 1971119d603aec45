import { bytesPerPart, planParts } from '../../lib/bus/rpc/plan-parts.ts';
import { gather, gatherAll, request } from '../../lib/bus/rpc/request.ts';
import { type Served, serve } from '../../lib/bus/rpc/serve.ts';
import { type SenderVerb, subjects } from '../../lib/bus/subjects.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import { eachInfoSchema } from '../../schemas/host.ts';
import {
  type Job,
  type JobStatusRequest,
  jobAbortedSchema,
  jobRequestSchema,
  jobStatusRequestSchema,
  sendStatusSchema,
} from '../../schemas/job.ts';
import {
  type Plan,
  type PlanPart,
  type SendRequest,
  type SendStart,
  sendRequestSchema,
  sendStartSchema,
} from '../../schemas/plan.ts';
import { policiesRequestSchema } from '../../schemas/policy.ts';
import { leftoversRequestSchema, mendRequestSchema } from '../../schemas/stale.ts';
import type { StatusEntry } from '../../schemas/status.ts';
import { leftoversReply, mend } from '../host/stale.ts';
import { findLeftovers, mendLeftover } from './bases/stale.ts';
import { route } from './delivery/choose.ts';
import type { JobDeps } from './job/job-run.ts';
import { openJobs } from './job/registry.ts';
import { checkedPlan } from './planning/check-plan.ts';
import { checkRequest } from './planning/send-rules.ts';
import { withSizes } from './planning/size-estimates.ts';
import type { Policy } from './policies/policy.ts';
import { openPolicyRunner } from './policies/runner.ts';
import { knownEntries } from './reporting/known-entries.ts';
import { openTakeover, type Takeover } from './takeover/takeover.ts';

/** How long siblings have to answer for themselves, in milliseconds. */
const siblingsMs = 300;
/** The same before holds are released as those of a job that runs no more: one that lists may be deaf for seconds. */
const livingMs = 3000;
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

/** Serves `zfs.<host>.send.*`: plans, and runs jobs. */
export function serveSender(options: SenderOptions): Sender {
  const { host, bus, instance, zfs } = options;
  const statusSubject = subjects.send(host, 'status');
  const abortSubject = subjects.send(host, 'abort');

  const livingJobs = async () => {
    const each = subjects.each(statusSubject);
    const { answers, clear } = await gatherAll(bus, each, { running: true }, sendStatusSchema, livingMs);
    if (!clear) return undefined;
    const elsewhere = answers.flatMap((answer) => answer.jobs);
    return new Set([...jobs.running.map(({ id }) => id), ...elsewhere.map(({ job }) => job)]);
  };
  /** Without a service of this host here, its jobs may be on another NATS: those that the board names are on this one. */
  const knownJobs = async (): Promise<Set<string> | undefined> => {
    const each = subjects.each(subjects.info(host));
    const answers = await gather(bus, each, {}, eachInfoSchema, siblingsMs);
    if (answers.flatMap((answer) => answer.instances).some((one) => one.instance !== instance)) return undefined;
    const entries = await knownEntries(options).catch(() => new Map<string, StatusEntry>());
    return new Set([...entries.values()].flatMap(({ run }) => (run ? [run.job] : [])));
  };
  const leftovers = () =>
    findLeftovers(zfs, { living: livingJobs, known: options.private ? knownJobs : async () => undefined });
  /** What the instances that live know of a job; undefined where that is not clear. */
  const knownOf = async (job: string): Promise<Job[] | undefined> => {
    const each = subjects.each(statusSubject);
    const { answers, clear } = await gatherAll(bus, each, { job }, sendStatusSchema, livingMs);
    return clear ? answers.flatMap((answer) => answer.jobs) : undefined;
  };
  const jobs = openJobs(
    { ...options, livingJobs, ...(options.private && { startedBy: 'command' as const }) },
    options.maxJobs,
  );
  const triggers = options.private ? undefined : openPolicyRunner({ ...options, jobs });
  const endAt = ({ job, instance: of }: Job): void =>
    void request(bus, subjects.instance(abortSubject, of), { job }, jobAbortedSchema).catch(() => {});
  const takeover = options.private ? nobody : openTakeover({ ...options, jobs, ask: knownOf, abort: endAt });

  function start(asked: SendStart, from?: string): object {
    const [job, ...others] = jobs.start(asked, from === undefined ? {} : { from });
    return Array.isArray(asked.to) ? { jobs: [job, ...others], host } : { job, host };
  }

  async function* planFor(request: SendRequest): AsyncGenerator<PlanPart> {
    checkRequest(options.allow, host, request);
    const signal = new AbortController().signal;
    const { delivery, planned } = await route(options, request, request.channel ?? options.channel, signal);
    const checked = await checkedPlan(options, request, delivery, planned);
    let shortages: Pick<PlanPart, 'shortages'> = checked.shortages.length > 0 ? { shortages: checked.shortages } : {};
    const channel = delivery.channel === 'store' ? { channel: delivery.channel } : {};
    let part = 0;
    for await (const { plan, more } of inParts(checked.plan)) {
      yield { source: host, target: request.to.host, ...channel, ...shortages, plan, part: ++part, more };
      shortages = {};
    }
  }
  /** Of a plan whose sizes take long, the first steps come early, and with them all but the other steps. */
  async function* inParts(plan: Plan): AsyncGenerator<Pick<PlanPart, 'plan' | 'more'>> {
    const limit = bytesPerPart(bus.maxPayload);
    const cut = (some: Plan, isLast: boolean) =>
      [...planParts(some, limit)].map((one, at, all) => ({ plan: one, more: !isLast || at + 1 < all.length }));
    if (!plan.ok || plan.steps.length === 0) return yield* cut(plan, true);
    let rest: Partial<typeof plan> = plan;
    let left = plan.steps.length;
    for await (const steps of withSizes(options.zfs, plan.steps)) {
      left -= steps.length;
      yield* cut({ ...rest, ok: true, steps }, left === 0);
      rest = {};
    }
  }

  async function statusOf(asked: JobStatusRequest) {
    const here = jobs.status(asked);
    if (asked.job !== undefined && here.some((job) => !hasSuccessor(job))) return { host, jobs: here };
    const answers = await gather(bus, subjects.each(statusSubject), asked, sendStatusSchema, siblingsMs);
    const known = answers
      .flatMap((answer) => answer.jobs)
      .sort((one, other) => Number(hasSuccessor(one)) - Number(hasSuccessor(other)));
    if (asked.job !== undefined && known.length === 0) throw unknownJob(asked.job, host);
    return { host, jobs: known };
  }

  async function abort({ job }: { job: string }) {
    if (jobs.abort(job)) return { job, aborted: true };
    const waited = takeover.abandon(job);
    const others = await gather(bus, subjects.each(abortSubject), { job }, jobAbortedSchema, siblingsMs);
    if (!waited && others.length === 0) throw unknownJob(job, host);
    return { job, aborted: true };
  }

  const fromText = (job: string) => ({ job });
  /** Each verb under its own name for the queue group, and under this instance's. */
  const both = (
    verb: SenderVerb,
    endpoint: Pick<Parameters<typeof serve>[1], 'request' | 'handle' | 'fromText' | 'atOnce'>,
  ): Served[] => {
    const subject = subjects.send(host, verb);
    const own = serve(bus, {
      ...endpoint,
      name: `send-${verb}-${instance}`,
      subject: subjects.instance(subject, instance),
    });
    return options.private ? [own] : [serve(bus, { ...endpoint, name: `send-${verb}`, subject, queue: 'sender' }), own];
  };
  const endpoints = [
    ...both('plan', {
      request: sendRequestSchema,
      atOnce: plansAtOnce,
      handle: (asked) => planFor(sendRequestSchema.parse(asked)),
    }),
    ...both('start', { request: sendStartSchema, handle: async (asked) => start(sendStartSchema.parse(asked)) }),
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
    ...both('status', {
      request: jobStatusRequestSchema,
      fromText,
      handle: async (asked) => statusOf(jobStatusRequestSchema.parse(asked)),
    }),
    ...both('abort', {
      request: jobRequestSchema,
      fromText,
      handle: async (asked) => abort(jobRequestSchema.parse(asked)),
    }),
    ...both('leftovers', {
      request: leftoversRequestSchema,
      atOnce: 1,
      handle: async () => leftoversReply(host, await leftovers(), bus.maxPayload),
    }),
    ...both('mend', {
      request: mendRequestSchema,
      atOnce: 1,
      handle: (asked) =>
        mend(host, mendRequestSchema.parse(asked).leftovers, leftovers, (leftover) =>
          mendLeftover(zfs, leftover, options.bookmarks),
        ),
    }),
    ...(triggers ? both('policies', { request: policiesRequestSchema, handle: async () => triggers.status() }) : []),
    serve(bus, {
      name: 'send-status-each',
      subject: subjects.each(statusSubject),
      request: jobStatusRequestSchema,
      handle: async (asked) => ({ host, jobs: jobs.status(asked) }),
    }),
    serve(bus, {
      name: 'send-abort-each',
      subject: subjects.each(abortSubject),
      request: jobRequestSchema,
      handle: async ({ job }) => (jobs.abort(job) || takeover.abandon(job) ? { job, aborted: true } : undefined),
    }),
  ];

  return {
    endpoints,
    livingJobs,
    stop: () => {
      triggers?.stop();
      takeover.end();
      return jobs.stop();
    },
  };
}

/** Another instance goes on with it, and tells of it. */
const hasSuccessor = ({ error }: Job): boolean => error?.details?.successor !== undefined;

const unknownJob = (job: string, host: string): ZpsendError =>
  new ZpsendError('NO_SUCH_JOB', `no sender on ${host} knows a job ${job}`, { job });
