import { statusKey } from '../../../lib/bus/subjects.ts';
import type { Clock } from '../../../lib/time/clock.ts';
import { type DatasetStatus, type DatasetStatusEvent, entryOf, next } from './dataset-status.ts';
import type { openKnownRows } from './known-entries.ts';
import type { StatusWriter } from './status-writer.ts';

export interface StatusRow {
  readonly key: string;
  readonly current: DatasetStatus;
  /** Monotonic milliseconds. */
  began: number;
}

/** The status entries of a job's datasets. They are written as they change, once they are shown. */
export interface StatusRows {
  readonly isShown: boolean;
  readonly size: number;
  all(): Iterable<StatusRow>;
  get(dataset: string): StatusRow | undefined;
  /** The row of a dataset, and of its dataset on the target. */
  open(dataset: string, into: string): StatusRow;
  apply(row: StatusRow | undefined, event: DatasetStatusEvent): void;
  /**
   * Shows all rows if one of them has an entry: something was sent there before. If the entries cannot be read, the failed rows are shown:
   * their entries may say done.
   */
  showIfKnown(): void;
  clear(): void;
}

export interface StatusRowsOrder {
  readonly host: string;
  readonly target: string;
  readonly who: { readonly job: string; readonly instance: string };
  readonly clock: Pick<Clock, 'now' | 'date'>;
  readonly status: StatusWriter;
  readonly known: ReturnType<typeof openKnownRows>;
  /** From the beginning; otherwise from the first bytes that are sent. */
  readonly isShown: boolean;
}

interface Row extends StatusRow {
  current: DatasetStatus;
}

export function openStatusRows(order: StatusRowsOrder): StatusRows {
  const { host, target, who, clock, status, known } = order;
  const rows = new Map<string, Row>();
  let { isShown } = order;

  // an urgent entry is one that a client reads next
  const put = (row: Row, isUrgent: boolean): void =>
    status.put(row.key, () => entryOf(row.current, who, clock.date()), isUrgent);

  function show(some: Iterable<Row>): void {
    isShown = true;
    for (const row of some) if (row.current.facts || row.current.run) put(row, true);
  }

  async function showSomeIfKnown(some: readonly Row[]): Promise<void> {
    const { entries, isRead } = await known.rows();
    if (some.some(({ key }) => entries.has(key))) return show(some);
    const failed = some.filter(({ current }) => current.run?.state === 'failed');
    if (!isRead && failed.length > 0) show(failed);
  }

  return {
    get isShown() {
      return isShown;
    },
    get size() {
      return rows.size;
    },
    all: () => rows.values(),
    get: (dataset) => rows.get(dataset),
    open(dataset, into) {
      const existing = rows.get(dataset);
      if (existing) return existing;
      const row = { key: statusKey({ source: host, target, dataset, into }), current: {}, began: clock.now() };
      rows.set(dataset, row);
      return row;
    },
    apply(row: Row | undefined, event) {
      if (!row) return;
      const after = next(row.current, event);
      if (after === row.current) return;
      row.current = after;
      if (isShown) put(row, event.type === 'ended');
      else if (hasBeenSent(after)) show(rows.values());
    },
    showIfKnown() {
      if (!isShown) status.during(showSomeIfKnown([...rows.values()]));
    },
    clear: () => rows.clear(),
  };
}

/** Does the target have anything of it, or were bytes sent? */
const hasBeenSent = ({ facts, run }: DatasetStatus): boolean =>
  facts?.sent !== undefined || facts?.stored !== undefined || (run !== undefined && run.done + run.bytes > 0);
