import type { JobLog } from './job-log.ts';

/**
 * The log of a policy's job: it has the listings only if there is something to send, and neither refusals nor failures, which the policy
 * logs once and not at each run.
 */
export function quietJobLog(log: JobLog): JobLog {
  let hasSteps = false;
  let listed: (() => void) | undefined;
  return {
    ...log,
    listed(source, target) {
      listed = () => log.listed(source, target);
      if (hasSteps) listed();
    },
    planned({ datasets, notes }) {
      hasSteps = datasets.some(({ steps }) => steps.length > 0);
      if (!hasSteps) return;
      listed?.();
      log.planned({ datasets: datasets.filter(({ refusal }) => !refusal), notes });
    },
    ended(job) {
      if (job.done > 0 && !job.error) log.ended(job);
    },
  };
}
