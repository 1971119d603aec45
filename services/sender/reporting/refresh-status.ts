import pLimit from 'p-limit';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { readStatus } from '../../../lib/bus/status/read.ts';
import type { StatusStore } from '../../../lib/bus/status/store.ts';
import { statusKey } from '../../../lib/bus/subjects.ts';
import { reconcileMsOf } from '../../../lib/settings/settings.ts';
import type { Clock } from '../../../lib/time/clock.ts';
import { timing } from '../../../lib/time/timing.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { datasetSchema } from '../../../schemas/names.ts';
import { type CurrentSettings, onChangeOf } from '../../host/current-settings.ts';
import type { Log } from '../../host/log.ts';
import { isDue, refreshed } from './refreshed-status.ts';

export interface RefreshDeps {
  readonly host: string;
  readonly bus: Bus;
  readonly zfs: Pick<Zfs, 'listEach'>;
  readonly clock: Clock;
  readonly log: Pick<Log, 'debug'>;
  readonly store: Pick<StatusStore, 'replace'>;
  /** Their interval is that from one refresh to the next. */
  readonly settings: CurrentSettings;
}

/** Writes at once. */
const atOnce = 4;

/**
 * Updates the lag of all entries of a host, also of those that no policy sends: one read of the bucket, and one `zfs list` for the entries
 * that are due. An entry whose source is gone stays as it is, and becomes stale.
 * @returns a function that ends it
 */
export function keepFresh({ host, bus, zfs, clock, log, store, settings }: RefreshDeps): () => void {
  const stop = new AbortController();

  async function refresh(): Promise<void> {
    const everySeconds = reconcileMsOf(settings.now) / 1000;
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

  /** A changed interval counts at once: the old one may be a week. */
  async function sleepOrChange(ms: number): Promise<void> {
    const wake = new AbortController();
    const unsubscribe = onChangeOf(settings, reconcileMsOf, () => wake.abort());
    await clock.sleep(ms, AbortSignal.any([stop.signal, wake.signal])).catch(() => {});
    unsubscribe();
    stop.signal.throwIfAborted();
  }

  async function keep(): Promise<void> {
    for (let ms = timing.status.firstRefreshMs; ; ms = reconcileMsOf(settings.now) * (1 + Math.random() / 10)) {
      await sleepOrChange(ms);
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
