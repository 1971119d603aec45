import type { StatusStore } from '../../../lib/bus/status/store.ts';
import { timing } from '../../../lib/time/timing.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { StatusEntry } from '../../../schemas/status.ts';
import type { Log } from '../../host/log.ts';
import { expecting } from './refreshed-status.ts';

/** Writes that wait for their answer at once: the server sets the rate limit, however many datasets there are. */
const atOnce = 4;
/** Entries that wait at most: a dataset more than that is not told of. */
const mostWaiting = 50_000;

/** Writes the status of datasets as it changes, and disturbs nobody who changes it. */
export interface StatusWriter {
  /** `entry` is asked for what stands there when it is written, so the newest is; `urgent` does not wait for its time. Never fails. */
  put(key: string, entry: () => StatusEntry, urgent?: boolean): void;
  /** What is yet to be stored, as it is now, or was less than a second ago. */
  pending(): [key: string, entry: StatusEntry][];
  /** Work after which more is put: the end of a service waits for it too. */
  during(work: Promise<void>): void;
  /** Writes what waits, as far as that goes within two seconds. */
  stop(): Promise<void>;
}

/** @param reconcileSeconds how often this sender lists its sources again; undefined for one that is over before that */
export function openStatusWriter(
  store: Pick<StatusStore, 'put'>,
  log: Pick<Log, 'info' | 'warn'>,
  reconcileSeconds?: number,
): StatusWriter {
  const waiting = new Map<string, () => StatusEntry>();
  /** Written less than a gap ago. */
  const recent = new Map<string, () => StatusEntry>();
  const under = new Map<string, () => StatusEntry>();
  /** Those of `waiting` that are written before their time. */
  const urgent = new Set<string>();
  const works = new Set<Promise<void>>();
  let paused = false;
  let said = false;
  let stopping: (() => void) | undefined;

  function pump(): void {
    for (const [key, entry] of waiting) {
      if (paused || under.size >= atOnce) break;
      if (under.has(key) || (recent.has(key) && !urgent.has(key) && !stopping)) continue;
      waiting.delete(key);
      urgent.delete(key);
      under.set(key, entry);
      void write(key, entry);
    }
    if (paused || waiting.size + under.size + works.size === 0) stopping?.();
  }

  async function write(key: string, entry: () => StatusEntry): Promise<void> {
    try {
      await store.put(key, expecting(entry(), reconcileSeconds));
      if (said) log.info('status.written-again', 'the status of what is sent is written again');
      said = false;
    } catch (thrown) {
      if (!waiting.has(key)) waiting.set(key, entry);
      failed(ZpsendError.from(thrown));
    }
    under.delete(key);
    recent.set(key, entry);
    setTimeout(() => {
      if (recent.get(key) === entry) recent.delete(key);
      pump();
    }, timing.status.entryMs).unref();
    pump();
  }

  function failed({ code, message }: ZpsendError): void {
    if (!said)
      log.warn(
        'status.write-failed',
        `the status of what is sent is not written: ${code}: ${message}. Jobs go on without`,
      );
    said = true;
    paused = true;
    setTimeout(() => {
      paused = false;
      pump();
    }, timing.status.pauseMs).unref();
  }

  return {
    put(key, entry, isUrgent = false) {
      if (waiting.size >= mostWaiting && !waiting.has(key)) return;
      waiting.set(key, entry);
      if (isUrgent) urgent.add(key);
      pump();
    },
    pending: () => [...new Map([...recent, ...under, ...waiting])].map(([key, entry]) => [key, entry()]),
    during(work) {
      const over = work
        .catch((thrown) => failed(ZpsendError.from(thrown)))
        .finally(() => {
          works.delete(over);
          pump();
        });
      works.add(over);
    },
    async stop() {
      const { promise, resolve } = Promise.withResolvers<void>();
      stopping = resolve;
      const late = setTimeout(resolve, timing.status.lastMs);
      pump();
      await promise;
      clearTimeout(late);
    },
  };
}
