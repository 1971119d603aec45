import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { onEvents } from '../../../lib/bus/events/events.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { jobSchema } from '../../../schemas/job.ts';
import { targetKey } from './policy.ts';

/**
 * Observes all jobs of a host by their events.
 * @param onJob gets the job, its policy target, and whether it runs
 * @returns ends it
 */
export const observeJobs = (
  bus: Bus,
  host: string,
  onJob: (job: string, policyTarget: string, runs: boolean) => void,
) =>
  onEvents(bus, subjects.event(host, 'job', '*'), jobSchema, ({ what, body }) =>
    onJob(body.job, targetKey(body.request), what === 'started' || what === 'progress'),
  );
