import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { type StatusPlace, statusKey } from '../../../lib/bus/subjects.ts';
import { isRefusal } from '../../../lib/plan/refusal.ts';
import { targetRoot } from '../../../lib/plan/request/target-name.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import type { ErrorBody } from '../../../schemas/errors.ts';
import type { Job } from '../../../schemas/job.ts';
import { datasetOf } from '../../../schemas/names.ts';
import type { SendRequest } from '../../../schemas/plan.ts';
import type { Planned } from '../planning/plan-job.ts';
import { type DatasetStatus, type DatasetStatusEvent, entryOf, next } from './dataset-status.ts';
import { failUnplanned } from './fail-unplanned.ts';
import { knownEntries, openKnownRows } from './known-entries.ts';
import { listedFacts } from './listed-facts.ts';
import type { Live } from './progress.ts';
import type { StatusWriter } from './status-writer.ts';

/**
 * What the datasets of one job look like, for everybody to see; it is told what happens, by the dataset's name on the source. Before
 * anything was ever sent to its target a job has no rows: a mistyped name would stay on the board. A policy's job has, since the policy
 * stands.
 */
export interface ReplicationStatus {
  listed(planned: Planned): void;
  began(dataset: string): void;
  arrived(dataset: string, guid: string): void;
  stored(dataset: string, guid: string): void;
  /** How far those are that run now. */
  measured(running: Iterable<readonly [dataset: string, live: Live]>): void;
  ended(dataset: string, bytes: number, error?: ErrorBody): void;
  /** The job has ended; with an error, so have all datasets that have no end of their own. What comes later is ignored. */
  over(error?: ErrorBody): void;
}

export interface JobStatusDeps {
  readonly host: string;
  readonly instance: string;
  readonly bus: Bus;
  readonly zfs: Pick<Zfs, 'list'>;
  readonly status: StatusWriter;
  readonly startedBy?: Job['startedBy'];
}

interface Row {
  readonly key: string;
  line: DatasetStatus;
  /** Monotonic milliseconds. */
  began: number;
}

/** @param read what the board says of a target, by key */
export function openJobStatus(
  deps: JobStatusDeps,
  job: string,
  request: SendRequest,
  read = knownEntries,
): ReplicationStatus {
  const { host, instance, status } = deps;
  const who = { job, instance };
  const target = request.to.host;
  const root: StatusPlace = { source: host, target, dataset: datasetOf(request.dataset), into: targetRoot(request) };
  const rows = new Map<string, Row>();
  let isShown = deps.startedBy === 'policy';
  let isOver = false;
  const board = openKnownRows(deps, target, read);

  function rowOf(dataset: string, into: string): Row {
    const known = rows.get(dataset);
    if (known) return known;
    const row = { key: statusKey({ source: host, target, dataset, into }), line: {}, began: performance.now() };
    rows.set(dataset, row);
    return row;
  }

  // whoever waited for the end reads it next
  const put = (row: Row, isUrgent: boolean): void =>
    status.put(row.key, () => entryOf(row.line, who, Date.now()), isUrgent);

  function show(some: Iterable<Row>): void {
    isShown = true;
    for (const row of some) if (row.line.facts || row.line.run) put(row, true);
  }

  /**
   * Shows rows of which one is on the board: something was sent there before. Where nobody knows, those that have failed: the board may
   * say of them that they are done.
   */
  async function showIfKnown(some: readonly Row[]): Promise<void> {
    const { entries, isRead } = await board.rows();
    if (some.some(({ key }) => entries.has(key))) return show(some);
    const failed = some.filter(({ line }) => line.run?.state === 'failed');
    if (!isRead && failed.length > 0) show(failed);
  }

  function tell(row: Row | undefined, event: DatasetStatusEvent): void {
    if (!row) return;
    const line = next(row.line, event);
    if (line === row.line) return;
    row.line = line;
    if (isShown) put(row, event.type === 'ended');
    else if (hasBeenSent(line)) show(rows.values());
  }

  const secondsOf = ({ began }: Row): number => (performance.now() - began) / 1000;

  function ended(row: Row | undefined, bytes: number, error: ErrorBody | undefined): void {
    if (row) tell(row, { type: 'ended', bytes, seconds: secondsOf(row), error });
  }

  async function failedWhole(error: ErrorBody): Promise<void> {
    const known = await board.rows();
    await failUnplanned(deps, { ...who, request, root, isShown }, known, error);
  }

  return {
    listed(planned) {
      const { plans } = planned;
      if (isOver || isRefusal(plans)) return;
      const lagFacts = listedFacts(planned, Date.now());
      for (const plan of plans.datasets) {
        const { sourceDataset, targetDataset: into, steps, refusal } = plan;
        const row = rowOf(sourceDataset, into);
        const facts = lagFacts(plan);
        if (facts) tell(row, { type: 'listed', facts });
        // what runs, or has run, tells its end itself
        if (!row.line.run && (refusal || steps.length === 0)) ended(row, 0, refusal?.error);
      }
      if (!isShown && !board.isAsked) status.during(showIfKnown([...rows.values()]));
    },
    began(dataset) {
      const row = rows.get(dataset);
      if (row) row.began = performance.now();
      tell(row, { type: 'began' });
    },
    arrived: (dataset, guid) => tell(rows.get(dataset), { type: 'arrived', guid }),
    stored: (dataset, guid) => tell(rows.get(dataset), { type: 'stored', guid }),
    measured(running) {
      for (const [dataset, { bytes, waiting }] of running) {
        const row = rows.get(dataset);
        if (row) tell(row, { type: 'measured', bytes, seconds: secondsOf(row), waiting });
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

/** The target has something of it, or bytes are on their way. */
const hasBeenSent = ({ facts, run }: DatasetStatus): boolean =>
  facts?.sent !== undefined || facts?.stored !== undefined || (run !== undefined && run.done + run.bytes > 0);
