import type { Job } from '../schemas/job.ts';
import { bytes, counted, duration, rate } from './format.ts';

/** What is known of a job that is followed. */
export interface Followed {
  readonly job: Job;
  /** Bytes at some seconds of the job's own clock, oldest first: the recent past that the rate is taken from. */
  readonly samples: readonly { seconds: number; bytes: number }[];
}

/** The rate is that of the last so many seconds. */
const window = 10;

export const isEnded = ({ state }: Job): boolean => state === 'done' || state === 'failed';

/** News of a job: what is known after it, and lines about what has happened since. Older news changes nothing. */
export function observe(before: Followed | undefined, job: Job): { after: Followed; lines: string[] } {
  if (before && (isEnded(before.job) || job.seconds < before.job.seconds)) return { after: before, lines: [] };
  const recent = (before?.samples ?? []).filter(({ seconds }) => seconds >= job.seconds - window);
  const samples = [...recent, { seconds: job.seconds, bytes: job.bytes }];
  return { after: { job, samples }, lines: [...arrivals(before?.job, job), ...patience(before?.job, job)] };
}

/** What arrived; news may have been lost, so several steps can have gone by. */
function arrivals(before: Job | undefined, job: Job): string[] {
  const arrived = job.done - (before?.done ?? 0);
  if (arrived <= 0) return [];
  const which =
    arrived === 1 && before?.current ? `${before.current.to.name} arrived` : `${counted(arrived, 'step')} done`;
  return [`${job.request.to.host}: ${which} (${job.done} of ${job.steps}), ${bytes(job.bytes)} so far`];
}

const patience = (before: Job | undefined, job: Job): string[] =>
  job.waiting !== undefined && job.waiting !== before?.waiting ? [`${job.request.to.host}: ${job.waiting}`] : [];

/** Bytes per second lately; undefined until there is something to measure. */
export function rateOf({ samples }: Followed): number | undefined {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined || last.seconds <= first.seconds) return undefined;
  return Math.max(0, last.bytes - first.bytes) / (last.seconds - first.seconds);
}

/** One line that tells where a job is: steps, bytes, rate, ETA, and what runs. */
export function progressLine(followed: Followed): string {
  const { job } = followed;
  const head = `${job.request.to.host}: `;
  if (job.state === 'planning') return `${head}planning`;
  if (isEnded(job)) return resultLine(job);
  const speed = rateOf(followed);
  // an estimate is only that: past it, nothing can be said
  const share = job.size > 0 && job.bytes <= job.size ? ` ${Math.floor((100 * job.bytes) / job.size)}%` : '';
  const left = speed && job.size > job.bytes ? duration((job.size - job.bytes) / speed) : '-';
  const now = job.waiting ?? job.current?.to.name ?? '';
  const step = Math.min(job.done + 1, job.steps);
  return `${head}step ${step}/${job.steps}${share} ${bytes(job.bytes)} ${rate(speed)} ETA ${left} ${now}`.trimEnd();
}

/** How a job ended, in one line; why it failed is told as an error beside it. */
export function resultLine({ request, state, done, steps, bytes: sent, seconds }: Job): string {
  const what = `${request.dataset} to ${request.to.host}${request.to.dataset ? `:${request.to.dataset}` : ''}`;
  const amount = `${bytes(sent)} in ${duration(seconds)}`;
  if (state === 'failed') return `${what}: failed after ${done} of ${counted(steps, 'step')}, ${amount}`;
  if (steps === 0 && done === 0) return `${what}: nothing to do, ${request.to.host} has all of it`;
  return `${what}: done, ${counted(done, 'step')}, ${amount}`;
}
