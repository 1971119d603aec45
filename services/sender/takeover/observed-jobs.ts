import type { Job } from '../../../schemas/job.ts';
import type { SendRequest } from '../../../schemas/request.ts';
import { targetKey } from '../policies/policy.ts';

/**
 * The running jobs of a host, as one of its senders knows them from their events. Deterministic: times are ms of the caller's
 * clock.
 */
export interface ObservedJobs {
  /** @param isOver it was the last event of this job; an aborted job is not taken over either */
  news(job: Job, isOver: boolean, now: number): void;
  /** Neither the job nor its successor is to be taken over. @returns whether it is known, and has not ended */
  abandon(job: string): boolean;
  /** No events could arrive until now: the silence of all jobs starts again. */
  missedEvents(now: number): void;
  /**
   * Jobs whose sender is silent, to be taken over. Not those of policies, which run again, nor those of commands with a private
   * sender, nor those of another machine that had this host's name. And none while another job sends the same dataset to the
   * same target.
   */
  silent(now: number): Job[];
}

/** The first job of a row of takeovers. */
export const rootOf = ({ job, takesOver }: Pick<Job, 'job' | 'takesOver'>): string => takesOver ?? job;

/**
 * Of two jobs of one root the successor continues, and of two successors the one with the smaller id.
 * @returns whether `own` has to end since `other` runs
 */
export const yieldsTo = (own: Pick<Job, 'job' | 'takesOver'>, other: Pick<Job, 'job' | 'takesOver'>): boolean =>
  other.takesOver !== undefined &&
  own.job !== other.job &&
  rootOf(own) === other.takesOver &&
  (own.takesOver === undefined || other.job < own.job);

/** Known jobs: a host's senders run far fewer. */
const mostKnown = 10_000;

/**
 * @param self the instance whose own jobs are not observed
 * @param silenceMs a job without an event for this long has lost its sender; a running one publishes two a second
 * @param machine the id of this machine, if it has one
 */
export function openObservedJobs(self: string, silenceMs: number, machine?: string): ObservedJobs {
  const known = new Map<string, { job: Job; at: number }>();
  const isSilent = (at: number, now: number): boolean => now - at >= silenceMs;
  const hasNoSuccessor = (job: Job): boolean =>
    job.startedBy !== undefined || (job.machine !== undefined && job.machine !== machine);
  return {
    news(job, isOver, now) {
      // the job that it takes over is not taken over again
      if (job.takesOver !== undefined) for (const [id, one] of known) if (yieldsTo(one.job, job)) known.delete(id);
      if (isOver || job.aborting) known.delete(job.job);
      else {
        known.set(job.job, { job, at: now });
        const [oldest] = known.keys();
        if (known.size > mostKnown && oldest !== undefined) known.delete(oldest);
      }
    },
    abandon(id) {
      const affected = [...known.values()].filter(({ job }) => job.job === id || rootOf(job) === id);
      for (const { job } of affected) known.delete(job.job);
      return affected.length > 0;
    },
    missedEvents(now) {
      for (const one of known.values()) one.at = now;
    },
    silent(now) {
      const all = [...known.values()];
      const sent = new Set(all.flatMap(({ job, at }) => (isSilent(at, now) ? [] : [targetKey(job.request)])));
      for (const { job, at } of all) if (hasNoSuccessor(job) && isSilent(at, now)) known.delete(job.job);
      return all.flatMap(({ job, at }) => {
        const policyTarget = targetKey(job.request);
        if (!isSilent(at, now) || hasNoSuccessor(job) || job.instance === self || sent.has(policyTarget)) return [];
        // of two dead jobs that sent the same, the second one waits for the first one's successor
        sent.add(policyTarget);
        return [job];
      });
    },
  };
}

/**
 * The request of a successor. It plans again, without `conflict: rollback`, since no user has seen the losses of its plan (I5).
 * If the dead job has done the rollback, the successor continues; otherwise it fails with the conflict.
 */
export function inherited({ conflict, ...request }: SendRequest): SendRequest {
  return conflict === undefined || conflict === 'rollback' ? request : { ...request, conflict };
}

/** Groups of jobs whose requests differ only in their targets: each group can share its reads. */
export function alike(jobs: readonly Job[]): Job[][] {
  const groups = new Map<string, Job[]>();
  for (const job of jobs) {
    const { to: _, ...what } = job.request;
    const key = JSON.stringify([what, job.from]);
    groups.set(key, [...(groups.get(key) ?? []), job]);
  }
  return [...groups.values()];
}
