import { setTimeout as sleep } from 'node:timers/promises';
import pLimit from 'p-limit';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { readStatus } from '../../../lib/bus/status/read.ts';
import type { StatusStore } from '../../../lib/bus/status/store.ts';
import { statusKey } from '../../../lib/bus/subjects.ts';
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
  readonly log: Pick<Log, 'debug'>;
  readonly store: Pick<StatusStore, 'replace'>;
  /** From one refresh to the next, in milliseconds. */
  readonly reconcileMs: number;
}

/** Writes at once. */
const atOnce = 4;

/**
 * Keeps the lag of all rows of a host fresh, also of those that no policy sends: one look at the bucket, and one `zfs list` for the
 * rows that nobody has listed lately. A row whose source is gone stays as it is, and becomes stale.
 * @returns a function that ends it
 */
export function keepFresh({ host, bus, zfs, log, store, reconcileMs }: RefreshDeps): () => void {
  const stop = new AbortController();
  const every = reconcileMs / 1000;

  async function refresh(): Promise<void> {
    const rows = (await readStatus(bus, host))?.found ?? [];
    const due = rows.filter(
      ({ dataset, entry }) => datasetSchema.safeParse(dataset).success && isDue(entry, every, Date.now()),
    );
    if (due.length === 0) return;
    const listed = Date.now();
    const sources = await zfs.listEach([...new Set(due.map(({ dataset }) => dataset))]);
    const byName = new Map(sources.map((source) => [source.name, source]));
    await pLimit(atOnce).map(due, async (row) => {
      const source = byName.get(row.dataset);
      if (!source || stop.signal.aborted) return;
      // what a job has written since is newer
      await store.replace(statusKey(row), refreshed(row.entry, source, every, listed), row.revision);
    });
  }

  async function keep(): Promise<void> {
    for (let ms = timing.status.firstRefreshMs; ; ms = reconcileMs * (1 + Math.random() / 10)) {
      await sleep(Math.min(ms, 2 ** 31 - 1), undefined, { signal: stop.signal, ref: false });
      await refresh().catch((thrown) =>
        log.debug(
          'status.refresh-failed',
          `the status of this host's datasets is not refreshed: ${ZpsendError.from(thrown).message}`,
        ),
      );
    }
  }

  void keep().catch(() => {});
  return () => stop.abort();
}
