import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { parseStatusKey, type StatusPlace, statusKey } from '../../../lib/bus/subjects.ts';
import { isRefusal } from '../../../lib/plan/refusal.ts';
import { targetRoot } from '../../../lib/plan/request/target-name.ts';
import { ownMark } from '../../../lib/plan/steps/initial-flags.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import type { ErrorBody } from '../../../schemas/errors.ts';
import type { Job } from '../../../schemas/job.ts';
import { datasetOf, isWithin } from '../../../schemas/names.ts';
import type { SendRequest } from '../../../schemas/plan.ts';
import type { StatusEntry } from '../../../schemas/status.ts';
import type { Planned } from '../planning/plan-job.ts';
import { type DatasetStatus, type DatasetStatusEvent, entryOf, next } from './dataset-status.ts';
import { knownEntries, pendingEntries } from './known-entries.ts';
import { lagFacts, lagFactsSince, storedUpTo } from './lag.ts';
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

/** What the board says of the target; where it could not be read, only what this process itself has written. */
interface KnownRows {
  readonly entries: ReadonlyMap<string, StatusEntry>;
  readonly isRead: boolean;
}

/** @param read what the board says of a target, by key */
export function openJobStatus(
  deps: JobStatusDeps,
  job: string,
  request: SendRequest,
  read = knownEntries,
): ReplicationStatus {
  const { host, instance, zfs, status } = deps;
  const who = { job, instance };
  const target = request.to.host;
  const root: StatusPlace = { source: host, target, dataset: datasetOf(request.dataset), into: targetRoot(request) };
  const rows = new Map<string, Row>();
  let isShown = deps.startedBy === 'policy';
  let isOver = false;
  let asked: Promise<KnownRows> | undefined;

  /** Read once; where that fails, again the next time. */
  const knownRows = (): Promise<KnownRows> => {
    asked ??= read(deps, target).then(
      (entries) => ({ entries, isRead: true }),
      () => {
        asked = undefined;
        return { entries: new Map(pendingEntries(deps, target)), isRead: false };
      },
    );
    return asked;
  };

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
    const { entries, isRead } = await knownRows();
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

  /** Nothing was planned: those that are known keep what is known of them, and fail. Where nobody knows, the one that was asked for does. */
  async function failedWhole(error: ErrorBody): Promise<void> {
    const { entries: known, isRead } = await knownRows();
    const isPart = ({ dataset, into }: StatusPlace): boolean =>
      request.package !== undefined && isWithin(dataset, root.dataset) && isWithin(into, root.into);
    const keys = new Set([...(isShown || !isRead ? [statusKey(root)] : []), ...known.keys()]);
    const listed = Date.now();
    const here = await zfs
      .list({ dataset: root.dataset, recursive: request.package !== undefined, creation: true })
      .catch(() => []);
    const sources = new Map(here.map((entry) => [entry.name, entry]));
    for (const key of keys) {
      const place = parseStatusKey(key);
      if (!place || (key !== statusKey(root) && !isPart(place))) continue;
      const source = sources.get(place.dataset);
      const before = known.get(key);
      // how far the target lags shows only against what it was sent
      const isKnown = source && (isRead || before);
      const noted = { stream: before?.stream, wrapping: before?.wrapping };
      const line = isKnown ? { facts: { ...lagFactsSince(source, before?.sent, listed), ...noted } } : {};
      const failed = next(line, { type: 'ended', bytes: 0, seconds: 0, error });
      // where the source cannot be listed either, what was stored is all that is known
      status.put(key, () => ({ ...(source ? {} : before), ...entryOf(failed, who, Date.now()) }), true);
    }
  }

  return {
    listed({ plans, source, target: there, known = there }) {
      if (isOver || isRefusal(plans)) return;
      const now = Date.now();
      const sources = new Map(source.datasets.map((entry) => [entry.name, entry]));
      const [has, awaits] = [known, there].map(({ datasets }) => new Map(datasets.map((entry) => [entry.name, entry])));
      for (const { dataset, target: into, steps, refusal } of plans.datasets) {
        const entry = sources.get(dataset);
        const row = rowOf(dataset, into);
        if (entry) {
          const facts = lagFacts(entry, has?.get(into), now);
          const last = known === there ? undefined : lagFacts(entry, awaits?.get(into), now).sent?.guid;
          const [first] = steps;
          const stream = first?.record ?? ownMark(has?.get(into)?.stream, entry.guid);
          const wrapping = has?.get(into)?.wrapping;
          const nextWrapping = first?.wrapping ?? (first?.from && !first.origin ? wrapping : undefined);
          tell(row, { type: 'listed', facts: { ...storedUpTo(facts, last), stream, wrapping, nextWrapping } });
        }
        // what runs, or has run, tells its end itself
        if (!row.line.run && (refusal || steps.length === 0)) ended(row, 0, refusal?.error);
      }
      if (!isShown && !asked) status.during(showIfKnown([...rows.values()]));
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
