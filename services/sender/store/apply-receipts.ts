import type { SettledDelivery } from '../../../lib/bus/channel/store/delivery-state.ts';
import type { StreamsBucket } from '../../../lib/bus/channel/store/object-bucket.ts';
import { parseStoredName } from '../../../lib/bus/subjects.ts';
import type { Zfs } from '../../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { datasetOf } from '../../../schemas/names.ts';
import type { Log } from '../../host/log.ts';
import { removeOldCursors } from '../bases/store-cursors.ts';
import { isAt } from './deliveries.ts';
import { afterDelivery, readKnownTarget, type StoreTarget, writeKnownTarget } from './known-targets.ts';

export interface ReceiptApplierDeps {
  readonly zfs: Pick<Zfs, 'list' | 'destroyBookmark'>;
  readonly log: Log;
  /** Writes the status of a settled delivery. */
  readonly reportSettled: (delivery: SettledDelivery) => Promise<void>;
}

export interface ReceiptApplier {
  /**
   * Applies the new ones of a store's settled deliveries: reports each, and then records it in every known target that it concerns.
   * @param store names of all its objects
   * @throws ZpsendError where a known target could not be written; the next call tries again
   */
  apply(
    store: { readonly bucket: StreamsBucket; readonly names: readonly string[] },
    settled: readonly SettledDelivery[],
    signal: AbortSignal,
  ): Promise<void>;
  /** Has a delivery been reported and recorded? */
  isApplied(key: string): boolean;
}

export function openReceiptApplier({ zfs, log, reportSettled }: ReceiptApplierDeps): ReceiptApplier {
  /** Keys of deliveries whose receipts are still there: those that are reported, and those that are recorded too. */
  const reported = new Set<string>();
  const applied = new Set<string>();

  return {
    isApplied: (key) => applied.has(key),
    async apply({ bucket, names }, settled, signal) {
      const current = new Set(settled.map(({ key }) => key));
      for (const set of [reported, applied]) for (const key of set) if (!current.has(key)) set.delete(key);
      const fresh = settled.filter(({ key }) => !applied.has(key));
      if (fresh.length === 0) return;
      const places = placesIn(names).filter((place) => fresh.some((delivery) => isAt(place, delivery)));
      // a receipt within a known target was reported by its writer, or the target was listed since
      for (const place of places)
        for (const key of (await readKnownTarget(bucket, place))?.appliedReceipts ?? []) reported.add(key);
      for (const group of byDataset(fresh.filter(({ key }) => !reported.has(key)))) {
        if (signal.aborted) return;
        await report(group);
        for (const { key } of group) reported.add(key);
      }
      for (const place of places) {
        if (signal.aborted) return;
        const before = await readKnownTarget(bucket, place);
        const after = before && fresh.filter((delivery) => isAt(place, delivery)).reduce(afterDelivery, before);
        if (!after || after === before) continue;
        await writeKnownTarget(bucket, place, {
          ...after,
          appliedReceipts: after.appliedReceipts?.filter((key) => current.has(key)),
        });
      }
      for (const { key } of fresh) applied.add(key);
    },
  };

  /** Of one dataset at one target: its status gets the last delivered stream, and the first rejected one, which the later ones lacked. */
  async function report(group: readonly SettledDelivery[]): Promise<void> {
    for (const delivery of group) logSettled(log, delivery);
    const shown = [
      group.findLast(({ state }) => state.type === 'delivered'),
      group.find(({ state }) => state.type !== 'delivered'),
    ];
    for (const delivery of group) {
      if (!shown.includes(delivery)) continue;
      const { target, start, state } = delivery;
      if (state.type === 'delivered')
        await removeOldCursors(zfs, target, start).catch(logFailure(`old cursor bookmarks of ${target} stay`));
      await reportSettled(delivery).catch(logFailure(`the status of ${start.targetDataset} on ${target} stays`));
    }
  }

  function logFailure(what: string): (thrown: unknown) => void {
    return (thrown) => log.debug('store.maintenance-failed', `${what}: ${ZpsendError.from(thrown).message}`);
  }
}

function logSettled(log: Log, { target, start, state }: SettledDelivery): void {
  const snapshot = start.to.name;
  if (state.type === 'delivered') {
    log.info('store.delivered', `${target} has received ${snapshot} into ${start.targetDataset} from the store`, {
      snapshot,
    });
    return;
  }
  const { code, message } = state.error ?? {};
  log.error('store.rejected', `${target} has rejected ${snapshot} from the store: ${code}: ${message}`, {
    snapshot,
    code,
  });
}

const placesIn = (names: readonly string[]): StoreTarget[] =>
  names.flatMap((name) => {
    const parsed = parseStoredName(name);
    return parsed?.kind === 'known' ? [{ host: parsed.target, targetDataset: parsed.dataset }] : [];
  });

const byDataset = (settled: readonly SettledDelivery[]): SettledDelivery[][] => [
  ...Map.groupBy(settled, ({ target, start }) =>
    [target, start.targetDataset, datasetOf(start.to.name)].join('\n'),
  ).values(),
];
