import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { type StatusPlace, statusKey } from '../../../lib/bus/subjects.ts';
import { isRefusal } from '../../../lib/plan/refusal.ts';
import type { JobContext } from '../../../lib/plan/request/job-context.ts';
import type { Clock } from '../../../lib/time/clock.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import type { ErrorBody } from '../../../schemas/errors.ts';
import type { Job } from '../../../schemas/job.ts';
import type { Planned } from '../planning/plan-job.ts';
import { type DatasetStatus, type DatasetStatusEvent, entryOf, next } from './dataset-status.ts';
import { failUnplanned } from './fail-unplanned.ts';
import { knownEntries, openKnownRows } from './known-entries.ts';
import { listedFacts } from './listed-facts.ts';
import type { Live } from './progress.ts';
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

interface Row {
  readonly key: string;
  current: DatasetStatus;
  /** Monotonic milliseconds. */
  began: number;
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
  const rows = new Map<string, Row>();
  let isShown = deps.startedBy === 'policy';
  let isOver = false;
  const known = openKnownRows(deps, target, read);

  function rowOf(dataset: string, into: string): Row {
    const existing = rows.get(dataset);
    if (existing) return existing;
    const row = { key: statusKey({ source: host, target, dataset, into }), current: {}, began: clock.now() };
    rows.set(dataset, row);
    return row;
  }

  // an urgent entry is one that a client reads next
  const put = (row: Row, isUrgent: boolean): void =>
    status.put(row.key, () => entryOf(row.current, who, clock.date()), isUrgent);

  function show(some: Iterable<Row>): void {
    isShown = true;
    for (const row of some) if (row.current.facts || row.current.run) put(row, true);
  }

  /**
   * Shows all rows if one of them has an entry: something was sent there before. If the entries cannot be read, the failed rows are shown:
   * their entries may say done.
   */
  async function showIfKnown(some: readonly Row[]): Promise<void> {
    const { entries, isRead } = await known.rows();
    if (some.some(({ key }) => entries.has(key))) return show(some);
    const failed = some.filter(({ current }) => current.run?.state === 'failed');
    if (!isRead && failed.length > 0) show(failed);
  }

  function apply(row: Row | undefined, event: DatasetStatusEvent): void {
    if (!row) return;
    const after = next(row.current, event);
    if (after === row.current) return;
    row.current = after;
    if (isShown) put(row, event.type === 'ended');
    else if (hasBeenSent(after)) show(rows.values());
  }

  const secondsOf = ({ began }: Row): number => (clock.now() - began) / 1000;

  function ended(row: Row | undefined, bytes: number, error: ErrorBody | undefined): void {
    if (row) apply(row, { type: 'ended', bytes, seconds: secondsOf(row), error });
  }

  async function failedWhole(error: ErrorBody): Promise<void> {
    const more = { ...who, isRecursive: context.isRecursive, root, isShown };
    await failUnplanned(deps, more, await known.rows(), error);
  }

  return {
    listed(planned) {
      const { plans } = planned;
      if (isOver || isRefusal(plans)) return;
      const lagFacts = listedFacts(planned, clock.date());
      for (const plan of plans.datasets) {
        const { sourceDataset, targetDataset: into, steps, refusal } = plan;
        const row = rowOf(sourceDataset, into);
        const facts = lagFacts(plan);
        if (facts) apply(row, { type: 'listed', facts });
        // a run has an event for its end
        if (!row.current.run && (refusal || steps.length === 0)) ended(row, 0, refusal?.error);
      }
      if (!isShown && !known.isAsked) status.during(showIfKnown([...rows.values()]));
    },
    began(dataset) {
      const row = rows.get(dataset);
      if (row) row.began = clock.now();
      apply(row, { type: 'began' });
    },
    arrived: (dataset, guid) => apply(rows.get(dataset), { type: 'arrived', guid }),
    stored: (dataset, guid) => apply(rows.get(dataset), { type: 'stored', guid }),
    measured(running) {
      for (const [dataset, { bytes, waiting }] of running) {
        const row = rows.get(dataset);
        if (row) apply(row, { type: 'measured', bytes, seconds: secondsOf(row), waiting });
      }
    },
    ended: (dataset, bytes, error) => ended(rows.get(dataset), bytes, error),
    over(error) {
      if (isOver) return;
      isOver = true;
      if (error && rows.size === 0) status.during(failedWhole(error));
      if (error) for (const row of rows.values()) ended(row, 0, error);
      if (!isShown) status.during(showIfKnown([...rows.values()]));
      rows.clear();
    },
  };
}

/** Does the target have anything of it, or were bytes sent? */
const hasBeenSent = ({ facts, run }: DatasetStatus): boolean =>
  facts?.sent !== undefined || facts?.stored !== undefined || (run !== undefined && run.done + run.bytes > 0);
