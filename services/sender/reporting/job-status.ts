import type { Bus } from '../../../lib/bus/connection/connect.ts';
import type { StatusPlace } from '../../../lib/bus/subjects.ts';
import { isRefusal } from '../../../lib/plan/refusal.ts';
import type { JobContext } from '../../../lib/plan/request/job-context.ts';
import type { Clock } from '../../../lib/time/clock.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import type { ErrorBody } from '../../../schemas/errors.ts';
import type { Job } from '../../../schemas/job.ts';
import type { Planned } from '../planning/plan-job.ts';
import { failUnplanned } from './fail-unplanned.ts';
import { knownEntries, openKnownRows } from './known-entries.ts';
import { listedFacts } from './listed-facts.ts';
import type { Live } from './progress.ts';
import { openStatusRows, type StatusRow } from './status-rows.ts';
import type { StatusWriter } from './status-writer.ts';

/**
 * The status of the datasets of one job, by their names on the source. A job has no entries before anything was sent to its target: a
 * mistyped name would stay in the status. A policy's job has, since the policy exists.
 */
export interface ReplicationStatus {
  listed(planned: Planned): void;
  began(dataset: string): void;
  arrived(dataset: string, guid: string): void;
  stored(dataset: string, guid: string): void;
  /** The progress of running datasets. */
  measured(running: Iterable<readonly [dataset: string, live: Live]>): void;
  ended(dataset: string, bytes: number, error?: ErrorBody): void;
  /** The job has ended. With an error all its unfinished datasets fail. Later events are ignored. */
  over(error?: ErrorBody): void;
}

export interface JobStatusDeps {
  readonly host: string;
  readonly instance: string;
  readonly clock: Pick<Clock, 'now' | 'date'>;
  readonly bus: Bus;
  readonly zfs: Pick<Zfs, 'list'>;
  readonly status: StatusWriter;
  readonly startedBy?: Job['startedBy'];
}

/** @param read the status entries of a target, by key */
export function openJobStatus(
  deps: JobStatusDeps,
  job: string,
  context: JobContext,
  read = knownEntries,
): ReplicationStatus {
  const { host, instance, status, clock } = deps;
  const who = { job, instance };
  const { targetHost: target } = context;
  const root: StatusPlace = { source: host, target, dataset: context.sourceDataset, into: context.targetDataset };
  const known = openKnownRows(deps, target, read);
  const rows = openStatusRows({ host, target, who, clock, status, known, isShown: deps.startedBy === 'policy' });
  let isOver = false;

  const secondsOf = ({ began }: StatusRow): number => (clock.now() - began) / 1000;

  function ended(row: StatusRow | undefined, bytes: number, error: ErrorBody | undefined): void {
    if (row) rows.apply(row, { type: 'ended', bytes, seconds: secondsOf(row), error });
  }

  async function failedWhole(error: ErrorBody): Promise<void> {
    const more = { ...who, isRecursive: context.isRecursive, root, isShown: rows.isShown };
    await failUnplanned(deps, more, await known.rows(), error);
  }

  return {
    listed(planned) {
      const { plans } = planned;
      if (isOver || isRefusal(plans)) return;
      const lagFacts = listedFacts(planned, clock.date());
      for (const plan of plans.datasets) {
        const { sourceDataset, targetDataset: into, steps, refusal } = plan;
        const row = rows.open(sourceDataset, into);
        const facts = lagFacts(plan);
        if (facts) rows.apply(row, { type: 'listed', facts });
        // a run has an event for its end
        if (!row.current.run && (refusal || steps.length === 0)) ended(row, 0, refusal?.error);
      }
      if (!known.isAsked) rows.showIfKnown();
    },
    began(dataset) {
      const row = rows.get(dataset);
      if (row) row.began = clock.now();
      rows.apply(row, { type: 'began' });
    },
    arrived: (dataset, guid) => rows.apply(rows.get(dataset), { type: 'arrived', guid }),
    stored: (dataset, guid) => rows.apply(rows.get(dataset), { type: 'stored', guid }),
    measured(running) {
      for (const [dataset, { bytes, waiting }] of running) {
        const row = rows.get(dataset);
        if (row) rows.apply(row, { type: 'measured', bytes, seconds: secondsOf(row), waiting });
      }
    },
    ended: (dataset, bytes, error) => ended(rows.get(dataset), bytes, error),
    over(error) {
      if (isOver) return;
      isOver = true;
      if (error && rows.size === 0) status.during(failedWhole(error));
      if (error) for (const row of rows.all()) ended(row, 0, error);
      rows.showIfKnown();
      rows.clear();
    },
  };
}
