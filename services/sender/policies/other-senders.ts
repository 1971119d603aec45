import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { onEvents } from '../../../lib/bus/events/events.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { jobSchema } from '../../../schemas/job.ts';
import { targetKey } from './policy.ts';

/**
 * Hears of the jobs of a host from their events, whichever of its senders runs them, on whatever request.
 * @param told given the job, its policy target, and whether it runs
 * @returns a function that ends it
 */
export const observeJobs = (bus: Bus, host: string, told: (job: string, policyTarget: string, runs: boolean) => void) =>
  onEvents(bus, subjects.event(host, 'job', '*'), jobSchema, ({ what, body }) =>
    told(body.job, targetKey(body.request), what === 'started' || what === 'progress'),
  );
