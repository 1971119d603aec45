import type { Job } from '../../schemas/job.ts';
import { bytes, counted } from './format.ts';

/** What has been told of a job's progress: steps, bytes, and when by its own clock. */
export interface Told {
  readonly done: number;
  readonly bytes: number;
  readonly seconds: number;
}

export const nothingTold: Told = { done: 0, bytes: 0, seconds: 0 };

/** A line is due each time that this share of the job is done, so that however many steps it has, there are not many lines. */
const share = 0.05;
/** Bytes alone, without a step that arrived, are told no more often than this, in seconds. */
const bytesGap = 60;
/** A job that moves slower is told of after so many seconds. */
const longest = 600;

/** Is there something new of a job to be told where progress is not drawn? */
export function isDue(told: Told, job: Job): boolean {
  const steps = job.done - told.done;
  if (job.state === 'done' || job.state === 'failed') return steps > 0;
  if (steps > 0 && steps >= share * job.steps) return true;
  const more = job.bytes - told.bytes;
  const passed = job.seconds - told.seconds;
  if (steps <= 0 && more <= 0) return false;
  return passed >= longest || (passed >= bytesGap && job.size > 0 && more >= share * job.size);
}

/** Steps that arrived since the last line; news may have been lost, so several can have gone by. */
export function arrivalLine(told: Told, before: Job | undefined, job: Job): string {
  const arrived = job.done - told.done;
  const isNamed = arrived === 1 && before?.done === told.done && isAlone(before);
  const stored = job.channel === 'store' ? 'stored' : undefined;
  const which =
    isNamed && before.current
      ? `${before.current.to.name} ${stored ?? 'arrived'}`
      : `${counted(arrived, 'step')} ${stored ?? 'done'}`;
  const { done, total } = job.datasets;
  // the end of its dataset is told a little later than its last step
  const datasets = job.request.package && job.done < job.steps ? `, ${done} of ${counted(total, 'dataset')}` : '';
  return `${job.request.to.host}: ${which} (${job.done} of ${job.steps}${datasets}), ${bytes(job.bytes)} so far`;
}

/** Is the current step the only one? */
const isAlone = ({ request, datasets }: Job): boolean =>
  !request.package || datasets.list.filter(({ state }) => state === 'running').length === 1;
