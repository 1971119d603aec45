import { onEvents } from '../../lib/bus/events/events.ts';
import { publishSnapshotCreated } from '../../lib/bus/events/snapshot-events.ts';
import { request } from '../../lib/bus/rpc/request.ts';
import { subjects } from '../../lib/bus/subjects.ts';
import { fanStartedSchema, type Job, jobSchema, sendStatusSchema } from '../../schemas/job.ts';
import { retry } from '../support/retry.ts';
import type { World } from './world.ts';

/** An emulated machine answers late, in milliseconds. */
const answerMs = 20_000;

/** The jobs of the source: requested once, and then only read. */
export interface Jobs {
  /** A package to these targets; gives the jobs' ids. */
  ask(dataset: string, targets: readonly string[]): Promise<string[]>;
  /** Publishes the event of a new snapshot. */
  announce(snapshot: string): void;
  /** The newest event of each job since `forget`. */
  received(): Job[];
  forget(): void;
  /** The status of a job, or of its successor; undefined while no sender knows it. */
  status(id: string): Promise<Job | undefined>;
  stop(): void;
}

export function openJobs({ source, bus }: World): Jobs {
  const received = new Map<string, Job>();
  const stopEvents = onEvents(bus, subjects.event(source.name, 'job', '*'), jobSchema, ({ body }) => {
    received.set(body.job, body);
  });
  return {
    async ask(dataset, targets) {
      const body = { dataset, package: 'replication', to: targets.map((host) => ({ host })) };
      const subject = subjects.send(source.name, 'start');
      return (await retry(() => request(bus, subject, body, fanStartedSchema, answerMs))).jobs;
    },
    announce: (snapshot) => publishSnapshotCreated(bus, source.name, snapshot),
    received: () => [...received.values()],
    forget: () => received.clear(),
    async status(job) {
      try {
        return (await request(bus, subjects.send(source.name, 'status'), { job }, sendStatusSchema)).jobs[0];
      } catch {
        return undefined;
      }
    },
    stop: stopEvents,
  };
}

export const isOver = (job: Job | undefined): boolean => job?.state === 'done' || job?.state === 'failed';
