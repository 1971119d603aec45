import { targetDatasetOf } from '../../lib/plan/request/target-name.ts';
import type { Code } from '../../schemas/errors.ts';
import type { Job, JobDataset } from '../../schemas/job.ts';
import type { SendRequest } from '../../schemas/request.ts';
import { bytes, counted, duration, rate } from './format.ts';
import { arrivalLine, isDue, nothingReported, type Reported } from './progress-lines.ts';
import { waitWords } from './waits.ts';

/** What a command knows of a job that it follows. */
export interface Followed {
  readonly job: Job;
  /** Bytes at seconds of the job's clock, oldest first, for the rate. */
  readonly samples: readonly { seconds: number; bytes: number }[];
  readonly reported: Reported;
  /** The reasons for waiting, since `seconds` of the job's clock; undefined while it sends. */
  readonly wait?: { readonly codes: readonly Code[]; readonly seconds: number } | undefined;
}

/** Seconds over which the rate is measured. */
const rateWindow = 10;

export const isEnded = ({ state }: Job): boolean => state === 'done' || state === 'failed';

/** Some of its datasets failed, and all others are done. */
export const hasFailedPartly = ({ datasets: { failed, done, total } }: Job): boolean =>
  failed > 0 && done > 0 && failed + done === total;

export const hasFailed = ({ state }: JobDataset): boolean => state === 'failed' || state === 'refused';

/** The id of the job that was started: a successor has another id. */
export const rootOf = ({ job, takesOver }: Job): string => takesOver ?? job;

/** Has another job taken over this one? Of two takeovers the one with the smaller id continues. */
const isSuperseded = (known: Job, { job, takesOver }: Job): boolean =>
  known.job !== job && known.takesOver !== undefined && (takesOver === undefined || job > known.job);

/** Logged after a takeover. */
export const senderDied = 'its sender stopped reporting; another sender takes over';

/** Adds a newer state of a job or of its successor. An older one changes nothing. @returns lines about what happened in between */
export function observe(before: Followed | undefined, job: Job): { after: Followed; lines: string[] } {
  if (!before || before.job.job === job.job) return follow(before, job);
  if (isEnded(before.job) || isSuperseded(before.job, job)) return { after: before, lines: [] };
  const { after, lines } = follow(undefined, job);
  return { after, lines: [`${job.request.to.host}: ${senderDied}`, ...lines] };
}

function follow(before: Followed | undefined, job: Job): { after: Followed; lines: string[] } {
  if (before && (isEnded(before.job) || job.seconds < before.job.seconds)) return { after: before, lines: [] };
  const recent = (before?.samples ?? []).filter(({ seconds }) => seconds >= job.seconds - rateWindow);
  const samples = [...recent, { seconds: job.seconds, bytes: job.bytes }];
  const now = { job, samples, reported: nothingReported };
  const { reported, lines } = progress(before, now);
  const { wait, lines: waiting } = waits(before?.wait, job);
  const happened = [...lines, ...failures(before?.job, job)];
  // steps arrive before a wait begins, and after it ends
  const inOrder = wait ? [...happened, ...waiting] : [...waiting, ...happened];
  return { after: { ...now, reported, wait }, lines: inOrder };
}

/** A line about steps that arrived, or about bytes only, if one is due. */
function progress(before: Followed | undefined, after: Followed): { reported: Reported; lines: string[] } {
  const { job } = after;
  const reported = before?.reported ?? nothingReported;
  if (!isDue(reported, job)) return { reported, lines: [] };
  const line = job.done > reported.done ? arrivalLine(reported, before?.job, job) : progressLine(after);
  return { reported: { done: job.done, bytes: job.bytes, seconds: job.seconds }, lines: [line] };
}

/** Datasets of a package that failed while others continue. The errors follow at the end. */
function failures(before: Job | undefined, job: Job): string[] {
  if (!job.request.package || isEnded(job)) return [];
  const known = new Set(before?.datasets.list.filter(hasFailed).map(({ dataset }) => dataset));
  return job.datasets.list
    .filter((one) => hasFailed(one) && !known.has(one.dataset))
    .map(({ dataset, state, error }) => `${job.request.to.host}: ${dataset} ${state}, ${error?.code ?? 'INTERNAL'}`);
}

/** A line for each reason for waiting, and one when the wait is over. If the job fails meanwhile, its error replaces the latter. */
function waits(before: Followed['wait'], job: Job): { wait: Followed['wait']; lines: string[] } {
  const { waiting, seconds, request } = job;
  if (!waiting) {
    const isOver = before && job.state !== 'failed';
    const waited = seconds - (before?.seconds ?? 0);
    return { wait: undefined, lines: isOver ? [`${request.to.host}: continues after ${duration(waited)}`] : [] };
  }
  const { codes, seconds: since } = before ?? { codes: [], seconds };
  if (codes.includes(waiting.code)) return { wait: before, lines: [] };
  const wait = { codes: [...codes, waiting.code], seconds: since };
  return { wait, lines: [`${request.to.host}: ${waitWords(waiting)}`] };
}

/** Recent bytes per second; undefined with fewer than two samples. */
export function rateOf({ samples }: Followed): number | undefined {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined || last.seconds <= first.seconds) return undefined;
  return Math.max(0, last.bytes - first.bytes) / (last.seconds - first.seconds);
}

/** The progress of a job in one line: datasets of a package, steps, bytes, rate, ETA, current snapshot. */
export function progressLine(followed: Followed): string {
  const { job } = followed;
  const head = `${job.request.to.host}: `;
  if (job.state === 'planning') return `${head}planning`;
  if (isEnded(job)) return resultLine(job);
  const speed = rateOf(followed);
  // the size is an estimate; past it there is no percentage
  const share = job.size > 0 && job.bytes <= job.size ? ` ${Math.floor((100 * job.bytes) / job.size)}%` : '';
  const left = speed && job.size > job.bytes ? duration((job.size - job.bytes) / speed) : '-';
  const now = job.waiting ? waitWords(job.waiting) : (job.current?.to.name ?? '');
  const others = job.datasets.list.filter(({ state }) => state === 'running').length - 1;
  const more = job.waiting === undefined && others > 0 ? ` and ${others} more` : '';
  const datasets = job.request.package ? `${job.datasets.done}/${counted(job.datasets.total, 'dataset')} ` : '';
  const step = Math.min(job.done + 1, job.steps);
  return `${head}${datasets}step ${step}/${job.steps}${share} ${bytes(job.bytes)} ${rate(speed)} ETA ${left} ${now}${more}`.trimEnd();
}

/** The target of a request: `HOST`, or `HOST:DATASET` if the request names the dataset. */
export const targetOf = (request: SendRequest): string =>
  request.to.dataset === undefined ? request.to.host : `${request.to.host}:${targetDatasetOf(request)}`;

/** The result of a job in one line, without its error. */
export function resultLine(job: Job): string {
  const { request, state, done, steps, datasets, bytes: sent, seconds } = job;
  const what = `${request.dataset} to ${targetOf(request)}`;
  const compressed = job.compressedBytes === undefined ? '' : `, ${bytes(job.compressedBytes)} compressed`;
  const amount = `${bytes(sent)} in ${duration(seconds)}${compressed}`;
  if (hasFailedPartly(job)) {
    const failed = `${datasets.failed} of ${counted(datasets.total, 'dataset')} failed`;
    return steps === 0 && done === 0
      ? `${what}: ${failed}, nothing to do for the others`
      : `${what}: ${failed}, ${done} of ${counted(steps, 'step')} done, ${amount}`;
  }
  if (state === 'failed' && done === 0 && sent === 0) return `${what}: failed, nothing was sent`;
  if (state === 'failed') return `${what}: failed after ${done} of ${counted(steps, 'step')}, ${amount}`;
  const isStored = job.channel === 'store';
  if (steps === 0 && done === 0) {
    return `${what}: nothing to do, ${isStored ? `everything is stored for ${request.to.host}` : `${request.to.host} has all of it`}`;
  }
  const all = request.package ? `${counted(datasets.total, 'dataset')}, ` : '';
  const how = isStored ? `stored for ${request.to.host}` : 'done';
  return `${what}: ${how}, ${all}${counted(done, 'step')}, ${amount}`;
}
