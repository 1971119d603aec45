import { gatherAll, request } from '../../../lib/bus/rpc/request.ts';
import { askInstances } from '../../../lib/bus/rpc/serve-verbs.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { timing } from '../../../lib/time/timing.ts';
import { hasReason, ZpsendError } from '../../../schemas/errors.ts';
import { eachInfoSchema } from '../../../schemas/host.ts';
import { type Job, type JobStatusRequest, jobAbortedSchema, sendStatusSchema } from '../../../schemas/job.ts';
import type { StatusEntry } from '../../../schemas/status.ts';
import { type Known, knownEntries } from '../reporting/known-entries.ts';
import type { Jobs } from './registry.ts';

type Here = Pick<Known, 'host' | 'bus'>;

const statusEach = (host: string): string => subjects.each(subjects.send(host, 'status'));

/** The jobs that run on any instance of this host; undefined where an instance did not answer. */
export async function livingJobs({ host, bus }: Here, jobs: Pick<Jobs, 'running'>): Promise<Set<string> | undefined> {
  const { answers, clear } = await gatherAll(
    bus,
    statusEach(host),
    { running: true },
    sendStatusSchema,
    timing.job.claimMs,
  );
  if (!clear) return undefined;
  const elsewhere = answers.flatMap((answer) => answer.jobs);
  return new Set([...jobs.running.map(({ id }) => id), ...elsewhere.map(({ job }) => job)]);
}

/** If no service of this host answers, its jobs may be on another NATS. Those that the status names are on this one. */
export async function jobsOnBoard(deps: Known & { readonly instance: string }): Promise<Set<string> | undefined> {
  const answers = await askInstances(deps.bus, subjects.info(deps.host), {}, eachInfoSchema);
  if (answers.flatMap((answer) => answer.instances).some((one) => one.instance !== deps.instance)) return undefined;
  const entries = await knownEntries(deps).catch(() => new Map<string, StatusEntry>());
  return new Set([...entries.values()].flatMap(({ run }) => (run ? [run.job] : [])));
}

/** The replies of the running instances about a job; undefined if one did not answer. */
export async function askSiblings({ host, bus }: Here, job: string): Promise<Job[] | undefined> {
  const { answers, clear } = await gatherAll(bus, statusEach(host), { job }, sendStatusSchema, timing.job.claimMs);
  return clear ? answers.flatMap((answer) => answer.jobs) : undefined;
}

/** The jobs that all instances of this host report. @throws ZpsendError NO_SUCH_JOB */
export async function statusOf(
  { host, bus }: Here,
  jobs: Pick<Jobs, 'status'>,
  asked: JobStatusRequest,
): Promise<{ host: string; jobs: Job[] }> {
  const here = jobs.status(asked);
  if (asked.job !== undefined && here.some((job) => !hasSuccessor(job))) return { host, jobs: here };
  const answers = await askInstances(bus, subjects.send(host, 'status'), asked, sendStatusSchema);
  const known = answers
    .flatMap((answer) => answer.jobs)
    .sort((one, other) => Number(hasSuccessor(one)) - Number(hasSuccessor(other)));
  if (asked.job !== undefined && known.length === 0) throw unknownJob(asked.job, host);
  return { host, jobs: known };
}

/** Asks every other instance to abort a job. @returns whether one of them knew it */
export async function abortAtSiblings({ host, bus }: Here, job: string): Promise<boolean> {
  const others = await askInstances(bus, subjects.send(host, 'abort'), { job }, jobAbortedSchema);
  return others.length > 0;
}

/** Asks the instance of a job to abort it, without waiting for an answer. */
export function abortAt({ host, bus }: Here, { job, instance }: Job): void {
  const subject = subjects.instance(subjects.send(host, 'abort'), instance);
  void request(bus, subject, { job }, jobAbortedSchema).catch(() => {});
}

/** Another instance has taken it over, and reports it. */
const hasSuccessor = ({ error }: Job): boolean => error !== undefined && hasReason(error, 'ABORTED', 'taken-over');

export const unknownJob = (job: string, host: string): ZpsendError =>
  new ZpsendError('NO_SUCH_JOB', `no sender on ${host} knows a job ${job}`, { job });
