import pLimit from 'p-limit';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { readStatus } from '../../../lib/bus/status/read.ts';
import type { StatusStore } from '../../../lib/bus/status/store.ts';
import { statusKey } from '../../../lib/bus/subjects.ts';
import type { Clock } from '../../../lib/time/clock.ts';
import { timing } from '../../../lib/time/timing.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { datasetSchema } from '../../../schemas/names.ts';
import type { Log } from '../../host/log.ts';
import { isDue, refreshed } from './refreshed-status.ts';

export interface RefreshDeps {
  readonly host: string;
  readonly bus: Bus;
  readonly zfs: Pick<Zfs, 'listEach'>;
  readonly clock: Clock;
  readonly log: Pick<Log, 'debug'>;
  readonly store: Pick<StatusStore, 'replace'>;
  /** From one refresh to the next, in milliseconds. */
  readonly reconcileMs: number;
}

/** Writes at once. */
const atOnce = 4;

/**
 * Updates the lag of all entries of a host, also of those that no policy sends: one read of the bucket, and one `zfs list` for the entries
 * that are due. An entry whose source is gone stays as it is, and becomes stale.
 * @returns a function that ends it
 */
export function keepFresh({ host, bus, zfs, clock, log, store, reconcileMs }: RefreshDeps): () => void {
  const stop = new AbortController();
  const everySeconds = reconcileMs / 1000;

  async function refresh(): Promise<void> {
    const rows = (await readStatus(bus, host))?.found ?? [];
    const due = rows.filter(
      ({ dataset, entry }) => datasetSchema.safeParse(dataset).success && isDue(entry, everySeconds, clock.date()),
    );
    if (due.length === 0) return;
    const listed = clock.date();
    const sources = await zfs.listEach([...new Set(due.map(({ dataset }) => dataset))]);
    const byName = new Map(sources.map((source) => [source.name, source]));
    await pLimit(atOnce).map(due, async (row) => {
      const source = byName.get(row.dataset);
      if (!source || stop.signal.aborted) return;
      // an entry that a job has written since is newer
      await store.replace(statusKey(row), refreshed(row.entry, source, everySeconds, listed), row.revision);
    });
  }

  async function keep(): Promise<void> {
    for (let ms = timing.status.firstRefreshMs; ; ms = reconcileMs * (1 + Math.random() / 10)) {
      await clock.sleep(ms, stop.signal);
      await refresh().catch((thrown) =>
        log.debug(
          'status.refresh-failed',
          `the replication status of this host is not refreshed: ${ZpsendError.from(thrown).message}`,
        ),
      );
    }
  }

  void keep().catch(() => {});
  return () => stop.abort();
}
