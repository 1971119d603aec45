import type { Job } from '../../schemas/job.ts';
import { bytes, counted } from './format.ts';

/** The progress in the last line about a job: steps, bytes, and seconds of the job's clock. */
export interface Reported {
  readonly done: number;
  readonly bytes: number;
  readonly seconds: number;
}

export const nothingReported: Reported = { done: 0, bytes: 0, seconds: 0 };

/** The share of a job's steps or bytes that makes a line due, so that a job has about 20 lines. */
const share = 0.05;
/** Seconds between two lines about bytes only. */
const bytesGap = 60;
/** A slow job has a line after so many seconds. */
const maxGap = 600;

/** Is a line about progress due? For output that is not a terminal. */
export function isDue(reported: Reported, job: Job): boolean {
  const steps = job.done - reported.done;
  if (job.state === 'done' || job.state === 'failed') return steps > 0;
  if (steps > 0 && steps >= share * job.steps) return true;
  const more = job.bytes - reported.bytes;
  const passed = job.seconds - reported.seconds;
  if (steps <= 0 && more <= 0) return false;
  return passed >= maxGap || (passed >= bytesGap && job.size > 0 && more >= share * job.size);
}

/** Steps that arrived since the last line. Messages may be lost, so there may be several. */
export function arrivalLine(reported: Reported, before: Job | undefined, job: Job): string {
  const arrived = job.done - reported.done;
  const isNamed = arrived === 1 && before?.done === reported.done && isAlone(before);
  const stored = job.channel === 'store' ? 'stored' : undefined;
  const which =
    isNamed && before.current
      ? `${before.current.to.name} ${stored ?? 'arrived'}`
      : `${counted(arrived, 'step')} ${stored ?? 'done'}`;
  const { done, total } = job.datasets;
  // a dataset ends a little later than its last step
  const datasets = job.request.package && job.done < job.steps ? `, ${done} of ${counted(total, 'dataset')}` : '';
  return `${job.request.to.host}: ${which} (${job.done} of ${job.steps}${datasets}), ${bytes(job.bytes)} so far`;
}

/** Is the current step the only one? */
const isAlone = ({ request, datasets }: Job): boolean =>
  !request.package || datasets.list.filter(({ state }) => state === 'running').length === 1;
