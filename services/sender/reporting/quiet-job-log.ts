import type { JobLog } from './job-log.ts';

/**
 * Tells a job that nobody asked for just now: what was listed only once there is something to send, and neither refusals nor
 * how it fails, which whoever started it tells once and not each time.
 */
export function quietly(say: JobLog): JobLog {
  let works = false;
  let listed: (() => void) | undefined;
  return {
    ...say,
    listed(source, target) {
      listed = () => say.listed(source, target);
      if (works) listed();
    },
    planned({ datasets, notes }) {
      works = datasets.some(({ steps }) => steps.length > 0);
      if (!works) return;
      listed?.();
      say.planned({ datasets: datasets.filter(({ refusal }) => !refusal), notes });
    },
    ended(job) {
      if (job.done > 0 && !job.error) say.ended(job);
    },
  };
}
