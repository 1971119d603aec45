import { setTimeout as sleep } from 'node:timers/promises';
import type { StreamsBucket } from '../../../lib/bus/channel/store/object-bucket.ts';
import { storedName } from '../../../lib/bus/subjects.ts';
import { timing } from '../../../lib/time/timing.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { Receipt, StoredStart, WaitingStream } from '../../../schemas/stored.ts';
import type { Log } from '../../host/log.ts';
import type { Held } from '../reporting/store-blocked.ts';
import { openReceiptApplier } from './apply-receipts.ts';
import { openBlockedStatus } from './blocked-status.ts';
import { openGarbageCollection } from './garbage-collection.ts';
import type { OwnStore } from './own-store.ts';
import { heldOf, keyOf, terminalReceiptsOf } from './receipts.ts';
import { openUnclaimed } from './unclaimed.ts';

export interface MaintenanceDeps {
  readonly host: string;
  readonly zfs: Pick<Zfs, 'list' | 'destroyBookmark'>;
  readonly log: Log;
  readonly store: OwnStore;
  readonly livingJobs: () => Promise<Set<string> | undefined>;
  /** Looks only while a job has the store open. */
  readonly waits: boolean;
  /** Tells everybody what became of a stored stream. */
  readonly tell: (target: string, start: StoredStart, receipt: Receipt) => Promise<void>;
  /** Tells everybody what is held, which is all that is. */
  readonly reportBlocked: (held: readonly Held[]) => Promise<void>;
  /** Is a receiver of that host there? */
  readonly hasReceiver: (host: string) => Promise<boolean>;
}

/** Every target has said its last word of it. @param said keys of last words */
export const isOver = ({ id, targets }: WaitingStream, said: ReadonlySet<string>): boolean =>
  targets.every((_, place) => said.has(keyOf(id, place)));

/**
 * Keeps the bucket of a source: removes what every target has taken or refused, remembers what they have now, and removes what
 * killed jobs have left.
 * @returns a function that ends it
 */
export function keepStore(deps: MaintenanceDeps): () => Promise<void> {
  const { host, log, store } = deps;
  const stop = new AbortController();
  const learning = openReceiptApplier(deps);
  const tellOfHeld = openBlockedStatus(deps.reportBlocked);
  const notFetched = openUnclaimed(deps.hasReceiver, host);
  const sweep = openGarbageCollection({ ...deps, isBrief: deps.waits });
  let said = '';

  async function look(signal: AbortSignal): Promise<void> {
    if (deps.waits && !store.isOpen) return;
    const found = await store.find();
    if (!found) return tellOfHeld([]);
    const { bucket, catalog } = found;
    const { waiting, names } = await catalog.read();
    const receipts = waiting.length > 0 ? await store.receipts.read(host) : [];
    const words = terminalReceiptsOf(waiting, receipts);
    const keys = new Set(words.map(({ key }) => key));
    const over = waiting.filter((stream) => isOver(stream, keys));
    // what makes room comes first: what is learned has to be written there too
    const empty: WaitingStream[] = [];
    for (const stream of over) await emptied(bucket, stream, signal).then(() => empty.push(stream), failed);
    await learning.learn({ bucket, names }, words, signal).catch(failed);
    for (const { id, targets } of empty) {
      if (signal.aborted) return;
      const isKnown = targets.every((_, place) => learning.knows(keyOf(id, place)));
      // the manifest last: until then a killed sender finds all of this again
      if (isKnown) await bucket.remove(storedName({ kind: 'manifest', id })).catch(failed);
    }
    await sweep(bucket, names, signal);
    // a command is over before it could see that for long
    const ignored = deps.waits ? [] : await notFetched(waiting, receipts);
    await tellOfHeld([...heldOf(waiting, receipts), ...ignored]);
  }

  async function emptied(bucket: StreamsBucket, { id, segments }: WaitingStream, signal: AbortSignal): Promise<void> {
    for (let at = 0; at < segments; at++) {
      signal.throwIfAborted();
      await bucket.remove(storedName({ kind: 'segment', id, at }));
    }
  }

  /** One that cannot be finished now keeps no other. */
  function failed(thrown: unknown): void {
    const { message } = ZpsendError.from(thrown);
    if (message !== said) log.debug('store.maintenance-failed', `the store cannot be looked after: ${message}`);
    said = message;
  }

  async function keep(): Promise<void> {
    while (!stop.signal.aborted) {
      await look(stop.signal).catch(failed);
      await sleep(timing.maintenance.everyMs, undefined, { signal: stop.signal, ref: false }).catch(() => {});
    }
  }

  const keeping = keep();
  return async () => {
    stop.abort();
    await Promise.race([store.cleared(), sleep(timing.maintenance.clearMs, undefined, { ref: false })]);
    const last = AbortSignal.timeout(timing.maintenance.lastMs);
    const late = sleep(timing.maintenance.lastMs, undefined, { ref: false });
    await Promise.race([keeping, late]);
    // a command may be over before the first look that finds its store open
    if (deps.waits) await Promise.race([look(last).catch(failed), late]);
  };
}
