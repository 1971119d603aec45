import type { Bus } from '../../../lib/bus/connection/connect.ts';
import type { Clock } from '../../../lib/time/clock.ts';
import { timing } from '../../../lib/time/timing.ts';
import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import type { Job } from '../../../schemas/job.ts';
import type { RunningJob } from '../job/job.ts';
import type { Jobs } from '../job/registry.ts';
import { observeJobs } from './other-senders.ts';
import type { PolicyLog } from './policy-log.ts';
import type { Outcome } from './target-state.ts';
import type { OpenTarget, PolicyTargets } from './targets.ts';

export interface PolicyJobsDeps {
  readonly host: string;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly jobs: Pick<Jobs, 'start'>;
}

/** The jobs of policy targets: those of this sender, and those that other senders run for the same targets. */
export interface PolicyJobs {
  /** Starts the jobs of policy targets of one policy. */
  start(started: readonly OpenTarget[]): void;
  /** Observes no more jobs; running ones continue. */
  stop(): void;
}

/** @param changed called when a policy target has changed since a job has started or ended */
export function openPolicyJobs(
  { host, bus, clock, jobs }: PolicyJobsDeps,
  policyTargets: PolicyTargets,
  policyLog: PolicyLog,
  changed: () => void,
): PolicyJobs {
  /** The policy targets of this sender's own jobs. */
  const ours = new Map<string, OpenTarget>();
  let stopped = false;

  function ended(policyTarget: OpenTarget, error: ErrorBody | undefined, isNews: boolean, job?: Job): void {
    // the policy may no longer exist
    if (stopped || policyTargets.all.get(policyTarget.key) !== policyTarget) return;
    const outcome = outcomeOf(error, job);
    policyTarget.error = error;
    if (isNews) policyLog.ended(policyTarget.key, error, outcome);
    policyTargets.feed(policyTarget.key, { type: 'ended', now: clock.now(), outcome });
  }

  const stopEvents = observeJobs(bus, host, (job, policyTarget, runs) => {
    const own = ours.get(job);
    if (own && policyTargets.all.get(policyTarget) === own) return;
    policyTargets.feed(policyTarget, { type: runs ? 'other-runs' : 'other-over', now: clock.now() });
    changed();
  });

  return {
    start(started) {
      const jobsOrError = startJobs(jobs, started);
      if ('code' in jobsOrError) {
        // a sender with the most jobs that it may run tries again
        for (const policyTarget of started) ended(policyTarget, jobsOrError, jobsOrError.code !== 'BUSY');
        return;
      }
      for (const [policyTarget, job] of jobsOrError) {
        ours.set(job.id, policyTarget);
        void job.over.then(() => {
          // its last events may still arrive
          clock.after(timing.policies.lastEventsMs, () => ours.delete(job.id));
          ended(policyTarget, job.status().error, true, job.status());
          changed();
        });
      }
    },
    stop() {
      stopped = true;
      stopEvents();
    },
  };
}

/** @returns the started jobs, each with its policy target, or why there are none */
function startJobs(
  jobs: PolicyJobsDeps['jobs'],
  started: readonly OpenTarget[],
): [OpenTarget, RunningJob][] | ErrorBody {
  try {
    const contexts = started.map(({ context }) => context);
    const running = jobs.start(contexts, { startedBy: 'policy' });
    return running.flatMap((job, at): [OpenTarget, RunningJob][] => {
      const policyTarget = started[at];
      return policyTarget ? [[policyTarget, job]] : [];
    });
  } catch (thrown) {
    return ZpsendError.from(thrown).toBody();
  }
}

/** A package is tried again if the failure of any of its datasets may pass. */
function outcomeOf(error: ErrorBody | undefined, job: Job | undefined): Outcome {
  if (!error) return 'done';
  const all = [error, ...(job?.datasets.list ?? []).flatMap((dataset) => dataset.error ?? [])];
  return all.some(({ retryable }) => retryable) ? 'passing' : 'refused';
}
