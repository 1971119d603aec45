import { deleteStored } from '../../../lib/bus/channel/store/delete-stream.ts';
import {
  deliveriesOf,
  isSettled,
  isSettledDelivery,
  type StoredDelivery,
} from '../../../lib/bus/channel/store/delivery-state.ts';
import type { StreamsBucket } from '../../../lib/bus/channel/store/object-bucket.ts';
import type { Clock } from '../../../lib/time/clock.ts';
import { timing } from '../../../lib/time/timing.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { BlockedStream } from '../reporting/store-blocked.ts';
import { openReceiptApplier, type ReceiptApplierDeps } from './apply-receipts.ts';
import { blockedIn } from './blocked.ts';
import { openBlockedStatus } from './blocked-status.ts';
import { openGarbageCollection } from './garbage-collection.ts';
import type { OwnStore } from './own-store.ts';
import { openUnclaimed } from './unclaimed.ts';

export interface MaintenanceDeps extends ReceiptApplierDeps {
  readonly host: string;
  readonly clock: Clock;
  readonly store: OwnStore;
  readonly livingJobs: () => Promise<Set<string> | undefined>;
  /** The sender of a command, which maintains the store only while a job has it open. */
  readonly isBrief: boolean;
  /** Writes the status of all blocked streams, and that no other is blocked. */
  readonly reportBlocked: (blocked: readonly BlockedStream[]) => Promise<void>;
  /** Is a receiver of that host online? */
  readonly hasReceiver: (host: string) => Promise<boolean>;
}

/**
 * Maintains the store of a source: deletes streams that every target has settled, records the known targets, and deletes orphans of dead jobs.
 * @returns a function that ends it
 */
export function maintainStore(deps: MaintenanceDeps): () => Promise<void> {
  const { clock, store, isBrief } = deps;
  const { everyMs, clearMs, lastMs } = timing.maintenance;
  const stop = new AbortController();
  const failed = failureLog(deps);
  const round = openRound(deps, failed);
  const within = (ms: number, work: Promise<unknown>): Promise<unknown> =>
    Promise.race([work, new Promise<void>((resolve) => clock.after(ms, resolve))]);

  async function maintain(): Promise<void> {
    while (!stop.signal.aborted) {
      await round(stop.signal).catch(failed);
      await clock.sleep(everyMs, stop.signal).catch(() => {});
    }
  }

  async function lastRounds(running: Promise<void>, signal: AbortSignal): Promise<void> {
    await running;
    // a command may end before the first round that finds its store open
    if (isBrief) await round(signal).catch(failed);
  }

  const running = maintain();
  return async () => {
    stop.abort();
    await within(clearMs, store.cleared());
    const last = new AbortController();
    await within(lastMs, lastRounds(running, last.signal));
    last.abort();
  };
}

/** @returns one round of the maintenance */
function openRound(deps: MaintenanceDeps, failed: (thrown: unknown) => void) {
  const { host, clock, store, isBrief } = deps;
  const applier = openReceiptApplier(deps);
  const reportBlocked = openBlockedStatus(deps.reportBlocked, clock);
  const markUnclaimed = openUnclaimed(deps.hasReceiver, clock);
  const collectGarbage = openGarbageCollection(deps);

  return async (signal: AbortSignal): Promise<void> => {
    if (isBrief && !store.isOpen) return;
    const found = await store.find();
    if (!found) return reportBlocked([]);
    const { bucket, catalog } = found;
    const { waiting, names } = await catalog.read();
    const receipts = waiting.length > 0 ? await store.receipts.read(host) : [];
    const deliveries = deliveriesOf(waiting, receipts);
    // deletions come first: the known targets are written to the same store
    const emptied: StoredDelivery[][] = [];
    for (const stream of byStream(deliveries))
      if (await deleteSegments(bucket, stream, signal).catch(failed)) emptied.push(stream);
    await applier.apply({ bucket, names }, deliveries.filter(isSettledDelivery), signal).catch(failed);
    for (const stream of emptied) {
      if (signal.aborted) return;
      const isRecorded = stream.every(({ key }) => applier.isApplied(key));
      await deleteStored(bucket, { ...settled(stream), segments: 0, isRecorded }, signal).catch(failed);
    }
    await collectGarbage(bucket, names, signal);
    // a command ends before it could see a receiver ignore its streams for long
    const marked = isBrief ? deliveries : await markUnclaimed(deliveries);
    await reportBlocked(blockedIn(marked, clock.now()));
  };
}

const byStream = (deliveries: readonly StoredDelivery[]): StoredDelivery[][] => [
  ...Map.groupBy(deliveries, ({ stream }) => stream).values(),
];

const settled = (stream: readonly StoredDelivery[]) => ({
  reason: 'settled' as const,
  id: stream[0]?.stream.id ?? '',
  deliveries: stream.map(({ state }) => state),
});

/** @returns true where every target is done with the stream, and its segments are gone */
async function deleteSegments(
  bucket: StreamsBucket,
  stream: readonly StoredDelivery[],
  signal: AbortSignal,
): Promise<boolean> {
  if (!stream.every(({ state }) => isSettled(state))) return false;
  const segments = stream[0]?.stream.segments ?? 0;
  return deleteStored(bucket, { ...settled(stream), segments, isRecorded: false }, signal);
}

/** One stream that cannot be deleted now must not stop the round. Each failure is logged once until another one occurs. */
function failureLog({ host, log }: Pick<MaintenanceDeps, 'host' | 'log'>): (thrown: unknown) => void {
  let last = '';
  return (thrown) => {
    const { message } = ZpsendError.from(thrown);
    if (message !== last)
      log.debug('store.maintenance-failed', `the store of ${host} cannot be maintained: ${message}`);
    last = message;
  };
}
