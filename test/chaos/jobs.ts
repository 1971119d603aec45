import { onEvents } from '../../lib/bus/events/events.ts';
import { publishSnapshotCreated } from '../../lib/bus/events/snapshot-events.ts';
import { request } from '../../lib/bus/rpc/request.ts';
import { subjects } from '../../lib/bus/subjects.ts';
import { fanStartedSchema, type Job, jobSchema, sendStatusSchema } from '../../schemas/job.ts';
import { patiently } from '../support/retry.ts';
import type { World } from './world.ts';

/** An emulated machine answers late, in milliseconds. */
const answerMs = 20_000;

/** The jobs of the source: asked for once, and then only looked at. */
export interface Jobs {
  /** A package to these targets; gives the jobs' ids. */
  ask(dataset: string, targets: readonly string[]): Promise<string[]>;
  /** Says that there is a new snapshot, and no more. */
  tell(snapshot: string): void;
  /** The newest of what was heard of each job since `forget`. */
  heard(): Job[];
  forget(): void;
  /** What is known of a job, or of one that goes on with it; undefined where nobody knows it just now. */
  status(id: string): Promise<Job | undefined>;
  stop(): void;
}

export function openJobs({ source, bus }: World): Jobs {
  const heard = new Map<string, Job>();
  const stopEvents = onEvents(bus, subjects.event(source.name, 'job', '*'), jobSchema, ({ body }) => {
    heard.set(body.job, body);
  });
  return {
    async ask(dataset, targets) {
      const body = { dataset, package: 'replication', to: targets.map((host) => ({ host })) };
      const subject = subjects.send(source.name, 'start');
      return (await patiently(() => request(bus, subject, body, fanStartedSchema, answerMs))).jobs;
    },
    tell: (snapshot) => publishSnapshotCreated(bus, source.name, snapshot),
    heard: () => [...heard.values()],
    forget: () => heard.clear(),
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
