import type { StatusStore } from '../../../lib/bus/status/store.ts';
import type { Clock } from '../../../lib/time/clock.ts';
import { timing } from '../../../lib/time/timing.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { StatusEntry } from '../../../schemas/status.ts';
import type { Log } from '../../host/log.ts';
import { expecting } from './refreshed-status.ts';

/** Writes without an answer at once: so the server sets the rate, however many datasets there are. */
const atOnce = 4;
/** Pending entries at most; the status of further datasets is not written. */
const mostWaiting = 50_000;

/** Writes the status of datasets as it changes. Its failures do not affect jobs. */
export interface StatusWriter {
  /**
   * Never fails.
   * @param entry called at the moment of the write, so that the newest is written
   * @param urgent write it at once, though it was written less than a second ago
   */
  put(key: string, entry: () => StatusEntry, urgent?: boolean): void;
  /** Entries that are not stored yet, or were less than a second ago, as they are at the moment. */
  pending(): [key: string, entry: StatusEntry][];
  /** Work that puts more entries: `stop` waits for it, too. */
  during(work: Promise<void>): void;
  /** Writes all pending entries, within two seconds. */
  stop(): Promise<void>;
}

export interface StatusWriterDeps {
  readonly store: Pick<StatusStore, 'put'>;
  readonly log: Pick<Log, 'info' | 'warn'>;
  readonly clock: Pick<Clock, 'after'>;
  /** How often this sender lists its sources again; absent for one that ends before that. */
  readonly reconcileSeconds?: (() => number) | undefined;
}

export function openStatusWriter({ store, log, clock, reconcileSeconds }: StatusWriterDeps): StatusWriter {
  const waiting = new Map<string, () => StatusEntry>();
  /** Written less than a second ago. */
  const recent = new Map<string, () => StatusEntry>();
  const writing = new Map<string, () => StatusEntry>();
  /** Keys of `waiting` that are written at once. */
  const urgent = new Set<string>();
  const works = new Set<Promise<void>>();
  const failures = openFailures(log, clock, pump);
  let stopping: (() => void) | undefined;

  function pump(): void {
    for (const [key, entry] of waiting) {
      if (failures.isPaused || writing.size >= atOnce) break;
      if (writing.has(key) || (recent.has(key) && !urgent.has(key) && !stopping)) continue;
      waiting.delete(key);
      urgent.delete(key);
      writing.set(key, entry);
      void write(key, entry);
    }
    if (failures.isPaused || waiting.size + writing.size + works.size === 0) stopping?.();
  }

  async function write(key: string, entry: () => StatusEntry): Promise<void> {
    try {
      await store.put(key, expecting(entry(), reconcileSeconds?.()));
      failures.over();
    } catch (thrown) {
      if (!waiting.has(key)) waiting.set(key, entry);
      failures.add(ZpsendError.from(thrown));
    }
    writing.delete(key);
    recent.set(key, entry);
    clock.after(timing.status.entryMs, () => {
      if (recent.get(key) === entry) recent.delete(key);
      pump();
    });
    pump();
  }

  return {
    put(key, entry, isUrgent = false) {
      if (waiting.size >= mostWaiting && !waiting.has(key)) return;
      waiting.set(key, entry);
      if (isUrgent) urgent.add(key);
      pump();
    },
    pending: () => [...new Map([...recent, ...writing, ...waiting])].map(([key, entry]) => [key, entry()]),
    during(work) {
      const over = work
        .catch((thrown) => failures.add(ZpsendError.from(thrown)))
        .finally(() => {
          works.delete(over);
          pump();
        });
      works.add(over);
    },
    async stop() {
      const { promise, resolve } = Promise.withResolvers<void>();
      stopping = resolve;
      const cancel = clock.after(timing.status.lastMs, resolve);
      pump();
      await promise;
      cancel();
    },
  };
}

/**
 * A failure pauses all writes for a while. The first one is logged, and so is the end of the failures.
 * @param resume called after each pause
 */
function openFailures(log: StatusWriterDeps['log'], clock: StatusWriterDeps['clock'], resume: () => void) {
  let isPaused = false;
  let hasWarned = false;
  return {
    get isPaused() {
      return isPaused;
    },
    add({ code, message }: ZpsendError): void {
      const line = `the replication status is not written: ${code}: ${message}. Jobs continue without it`;
      if (!hasWarned) log.warn('status.write-failed', line);
      hasWarned = true;
      isPaused = true;
      clock.after(timing.status.pauseMs, () => {
        isPaused = false;
        resume();
      });
    },
    over(): void {
      if (hasWarned) log.info('status.written-again', 'the replication status is written again');
      hasWarned = false;
    },
  };
}
