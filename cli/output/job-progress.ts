import { targetRoot } from '../../lib/plan/request/target-name.ts';
import type { Code } from '../../schemas/errors.ts';
import type { Job, JobDataset } from '../../schemas/job.ts';
import type { SendRequest } from '../../schemas/plan.ts';
import { bytes, counted, duration, rate } from './format.ts';
import { arrivalLine, isDue, nothingTold, type Told } from './progress-news.ts';
import { waitWords } from './waits.ts';

/** What is known of a job that is followed. */
export interface Followed {
  readonly job: Job;
  /** Bytes at some seconds of the job's own clock, oldest first: the recent past that the rate is taken from. */
  readonly samples: readonly { seconds: number; bytes: number }[];
  readonly told: Told;
  /** What it has been waiting for since `seconds` of its clock; undefined while it moves. */
  readonly wait?: { readonly codes: readonly Code[]; readonly seconds: number } | undefined;
}

/** The rate is that of the last so many seconds. */
const window = 10;

export const isEnded = ({ state }: Job): boolean => state === 'done' || state === 'failed';

/** Some datasets of it failed, and all others are done. */
export const hasFailedPartly = ({ datasets: { failed, done, total } }: Job): boolean =>
  failed > 0 && done > 0 && failed + done === total;

export const hasFailed = ({ state }: JobDataset): boolean => state === 'failed' || state === 'refused';

/** What was asked for: a job's successor goes on with it under an id of its own. */
export const rootOf = ({ job, takesOver }: Job): string => takesOver ?? job;

/** Is it told of a job with which another one goes on? Of two takeover the one whose id is smaller does. */
const isPassed = (known: Job, { job, takesOver }: Job): boolean =>
  known.job !== job && known.takesOver !== undefined && (takesOver === undefined || job > known.job);

/** What is said where another sender goes on with the job. */
export const senderDied = 'its sender has died; another one goes on';

/** News of a job or its successor: what is known after it, and lines about what has happened since. Older news changes nothing. */
export function observe(before: Followed | undefined, job: Job): { after: Followed; lines: string[] } {
  if (!before || before.job.job === job.job) return follow(before, job);
  if (isEnded(before.job) || isPassed(before.job, job)) return { after: before, lines: [] };
  const { after, lines } = follow(undefined, job);
  return { after, lines: [`${job.request.to.host}: ${senderDied}`, ...lines] };
}

function follow(before: Followed | undefined, job: Job): { after: Followed; lines: string[] } {
  if (before && (isEnded(before.job) || job.seconds < before.job.seconds)) return { after: before, lines: [] };
  const recent = (before?.samples ?? []).filter(({ seconds }) => seconds >= job.seconds - window);
  const samples = [...recent, { seconds: job.seconds, bytes: job.bytes }];
  const now = { job, samples, told: nothingTold };
  const { told, lines } = progress(before, now);
  const { wait, lines: waiting } = waits(before?.wait, job);
  const happened = [...lines, ...failures(before?.job, job)];
  // what arrived did so before a wait that begins, and after one that ends
  const inOrder = wait ? [...happened, ...waiting] : [...waiting, ...happened];
  return { after: { ...now, told, wait }, lines: inOrder };
}

/** Steps that arrived, or only bytes, once enough of either has. */
function progress(before: Followed | undefined, after: Followed): { told: Told; lines: string[] } {
  const { job } = after;
  const told = before?.told ?? nothingTold;
  if (!isDue(told, job)) return { told, lines: [] };
  const line = job.done > told.done ? arrivalLine(told, before?.job, job) : progressLine(after);
  return { told: { done: job.done, bytes: job.bytes, seconds: job.seconds }, lines: [line] };
}

/** Datasets of a package that failed, while others go on; why is told at the end. */
function failures(before: Job | undefined, job: Job): string[] {
  if (!job.request.package || isEnded(job)) return [];
  const known = new Set(before?.datasets.list.filter(hasFailed).map(({ dataset }) => dataset));
  return job.datasets.list
    .filter((one) => hasFailed(one) && !known.has(one.dataset))
    .map(({ dataset, state, error }) => `${job.request.to.host}: ${dataset} ${state}, ${error?.code ?? 'INTERNAL'}`);
}

/** One line for each reason of a wait, then one when the wait is over. A job that fails while it waits has its own line. */
function waits(before: Followed['wait'], job: Job): { wait: Followed['wait']; lines: string[] } {
  const { waiting, seconds, request } = job;
  if (!waiting) {
    const isOver = before && job.state !== 'failed';
    const waited = seconds - (before?.seconds ?? 0);
    return { wait: undefined, lines: isOver ? [`${request.to.host}: going on after ${duration(waited)}`] : [] };
  }
  const { codes, seconds: since } = before ?? { codes: [], seconds };
  if (codes.includes(waiting.code)) return { wait: before, lines: [] };
  const wait = { codes: [...codes, waiting.code], seconds: since };
  return { wait, lines: [`${request.to.host}: ${waitWords(waiting)}`] };
}

/** Bytes per second lately; undefined until there is something to measure. */
export function rateOf({ samples }: Followed): number | undefined {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined || last.seconds <= first.seconds) return undefined;
  return Math.max(0, last.bytes - first.bytes) / (last.seconds - first.seconds);
}

/** One line that tells where a job is: datasets of a package, steps, bytes, rate, ETA, and what runs. */
export function progressLine(followed: Followed): string {
  const { job } = followed;
  const head = `${job.request.to.host}: `;
  if (job.state === 'planning') return `${head}planning`;
  if (isEnded(job)) return resultLine(job);
  const speed = rateOf(followed);
  // an estimate is only that: past it, nothing can be said
  const share = job.size > 0 && job.bytes <= job.size ? ` ${Math.floor((100 * job.bytes) / job.size)}%` : '';
  const left = speed && job.size > job.bytes ? duration((job.size - job.bytes) / speed) : '-';
  const now = job.waiting ? waitWords(job.waiting) : (job.current?.to.name ?? '');
  const others = job.datasets.list.filter(({ state }) => state === 'running').length - 1;
  const more = job.waiting === undefined && others > 0 ? ` and ${others} more` : '';
  const datasets = job.request.package ? `${job.datasets.done}/${counted(job.datasets.total, 'dataset')} ` : '';
  const step = Math.min(job.done + 1, job.steps);
  return `${head}${datasets}step ${step}/${job.steps}${share} ${bytes(job.bytes)} ${rate(speed)} ETA ${left} ${now}${more}`.trimEnd();
}

/** Where a request goes: the host, and the dataset's name there where it was given one. */
export const placeOf = (request: SendRequest): string =>
  request.to.dataset === undefined ? request.to.host : `${request.to.host}:${targetRoot(request)}`;

/** How a job ended, in one line; why it failed is told as an error beside it. */
export function resultLine(job: Job): string {
  const { request, state, done, steps, datasets, bytes: sent, seconds } = job;
  const what = `${request.dataset} to ${placeOf(request)}`;
  const onWire = job.compressedBytes === undefined ? '' : `, ${bytes(job.compressedBytes)} on the wire`;
  const amount = `${bytes(sent)} in ${duration(seconds)}${onWire}`;
  if (hasFailedPartly(job)) {
    const failed = `${datasets.failed} of ${counted(datasets.total, 'dataset')} failed`;
    return steps === 0 && done === 0
      ? `${what}: ${failed}, and the others lack nothing`
      : `${what}: ${failed}, ${done} of ${counted(steps, 'step')} done, ${amount}`;
  }
  if (state === 'failed' && done === 0 && sent === 0) return `${what}: failed, nothing was sent`;
  if (state === 'failed') return `${what}: failed after ${done} of ${counted(steps, 'step')}, ${amount}`;
  const isStored = job.channel === 'store';
  if (steps === 0 && done === 0) {
    return `${what}: nothing to do, ${isStored ? `all that ${request.to.host} lacks waits for it` : `${request.to.host} has all of it`}`;
  }
  const all = request.package ? `${counted(datasets.total, 'dataset')}, ` : '';
  const how = isStored ? `stored for ${request.to.host} to fetch` : 'done';
  return `${what}: ${how}, ${all}${counted(done, 'step')}, ${amount}`;
}
