import type { Job } from '../../../schemas/job.ts';
import type { SendRequest } from '../../../schemas/plan.ts';
import { targetKey } from '../policies/policy.ts';

/**
 * The running jobs of a host as one of its senders hears of them, by their events. Deterministic: times are milliseconds of its
 * caller's clock.
 */
export interface ObservedJobs {
  /** @param isOver it was the last news of this job; one that was aborted has no successor either, whatever becomes of it */
  news(job: Job, isOver: boolean, now: number): void;
  /** Nobody is to go on with it, or with whoever goes on with it now. @returns whether it was heard of, and not its end */
  abandon(job: string): boolean;
  /** Nothing could be heard until now: silence counts anew. */
  missedEvents(now: number): void;
  /**
   * Jobs whose sender has fallen silent, and which wait for another one. Not those of policies, which look again by themselves, nor
   * those of commands that run their own sender, nor those of another machine that had this host's name: it has other pools. And none while another job sends the same to the same place.
   */
  silent(now: number): Job[];
}

/** What a row of takeover goes on with: the job that was asked for. */
export const rootOf = ({ job, takesOver }: Pick<Job, 'job' | 'takesOver'>): string => takesOver ?? job;

/**
 * Of two jobs of one root the successor goes on, and of two takeover the one whose id is smaller.
 * @returns whether `own` is to end since `other` runs
 */
export const yieldsTo = (own: Pick<Job, 'job' | 'takesOver'>, other: Pick<Job, 'job' | 'takesOver'>): boolean =>
  other.takesOver !== undefined &&
  own.job !== other.job &&
  rootOf(own) === other.takesOver &&
  (own.takesOver === undefined || other.job < own.job);

/** Jobs that are remembered: a host's senders run far fewer. */
const mostHeard = 10_000;

/**
 * @param self the instance whose own jobs are not waited for
 * @param silenceMs without news for so long a job has lost its sender; running ones tell of themselves twice a second
 * @param machine the id of this machine, where it has one
 */
export function openObservedJobs(self: string, silenceMs: number, machine?: string): ObservedJobs {
  const heard = new Map<string, { job: Job; at: number }>();
  const isSilent = (at: number, now: number): boolean => now - at >= silenceMs;
  const hasNoSuccessor = (job: Job): boolean =>
    job.startedBy !== undefined || (job.machine !== undefined && job.machine !== machine);
  return {
    news(job, isOver, now) {
      // whom it goes on with is waited for no more
      if (job.takesOver !== undefined) for (const [id, one] of heard) if (yieldsTo(one.job, job)) heard.delete(id);
      if (isOver || job.aborting) heard.delete(job.job);
      else {
        heard.set(job.job, { job, at: now });
        const [oldest] = heard.keys();
        if (heard.size > mostHeard && oldest !== undefined) heard.delete(oldest);
      }
    },
    abandon(id) {
      const meant = [...heard.values()].filter(({ job }) => job.job === id || rootOf(job) === id);
      for (const { job } of meant) heard.delete(job.job);
      return meant.length > 0;
    },
    missedEvents(now) {
      for (const one of heard.values()) one.at = now;
    },
    silent(now) {
      const all = [...heard.values()];
      const sent = new Set(all.flatMap(({ job, at }) => (isSilent(at, now) ? [] : [targetKey(job.request)])));
      for (const { job, at } of all) if (hasNoSuccessor(job) && isSilent(at, now)) heard.delete(job.job);
      return all.flatMap(({ job, at }) => {
        const policyTarget = targetKey(job.request);
        if (!isSilent(at, now) || hasNoSuccessor(job) || job.instance === self || sent.has(policyTarget)) return [];
        // of two dead ones that sent the same the second waits for the first one's successor
        sent.add(policyTarget);
        return [job];
      });
    },
  };
}

/**
 * What a successor is asked for. It plans anew, and what a rollback of its plan would destroy nobody was shown (I5); where the dead job has
 * rolled back already it goes on, and else it says what stands in the way.
 */
export function inherited({ conflict, ...request }: SendRequest): SendRequest {
  return conflict === undefined || conflict === 'rollback' ? request : { ...request, conflict };
}

/** Jobs of equal requests of the same host but for their targets, which can share what is read. */
export function alike(jobs: readonly Job[]): Job[][] {
  const groups = new Map<string, Job[]>();
  for (const job of jobs) {
    const { to: _, ...what } = job.request;
    const key = JSON.stringify([what, job.from]);
    groups.set(key, [...(groups.get(key) ?? []), job]);
  }
  return [...groups.values()];
}
