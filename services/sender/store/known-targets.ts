import type { SettledDelivery } from '../../../lib/bus/channel/store/delivery-state.ts';
import type { StreamsBucket } from '../../../lib/bus/channel/store/object-bucket.ts';
import { storedName } from '../../../lib/bus/subjects.ts';
import { predictInventory } from '../../../lib/plan/predict-target.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { Inventory } from '../../../schemas/inventory.ts';
import { datasetOf, isWithin, parentOf } from '../../../schemas/names.ts';
import { type LastKnownTarget, lastKnownTargetSchema, type StoredStart } from '../../../schemas/stored.ts';

/** The target of a request: a dataset, or the root of a package, on a host. */
export interface StoreTarget {
  readonly host: string;
  readonly targetDataset: string;
}

const mostBytes = 256 * 1024 * 1024;

const nameOf = ({ host, targetDataset }: StoreTarget): string =>
  storedName({ kind: 'known', target: host, dataset: targetDataset });

/** The known target of a place; undefined if there is none that can be read. */
export async function readKnownTarget(bucket: StreamsBucket, place: StoreTarget): Promise<LastKnownTarget | undefined> {
  const got = await bucket.get(nameOf(place), mostBytes).catch((thrown) => {
    if (ZpsendError.from(thrown).code !== 'STREAM_BROKEN') throw thrown;
    return undefined;
  });
  if (!got) return undefined;
  try {
    return lastKnownTargetSchema.safeParse(JSON.parse(got.bytes.toString())).data;
  } catch {
    return undefined;
  }
}

export async function writeKnownTarget(
  bucket: StreamsBucket,
  place: StoreTarget,
  lastKnown: LastKnownTarget,
): Promise<void> {
  const text = JSON.stringify(lastKnown);
  await bucket.put(
    nameOf(place),
    Buffer.from(text),
    `the last known snapshots of ${place.targetDataset} on ${place.host}`,
  );
}

/** Did the known target have the base of a stream? */
const hadBase = ({ target }: LastKnownTarget, { from, origin, targetDataset }: StoredStart): boolean => {
  const base = origin === undefined ? (from ? targetDataset : parentOf(targetDataset)) : datasetOf(origin);
  const there = target.datasets.find(({ name }) => name === base);
  return there !== undefined && (!from || there.snapshots.some(({ guid }) => guid === from.guid));
};

/**
 * The known target after a listing of all of it, or only of its root. Then the records of the datasets below stay.
 * @param settled deliveries that were settled before the target was listed
 */
export function afterListing(
  before: LastKnownTarget | undefined,
  {
    targetDataset,
    isWhole,
    target,
    settled,
  }: { targetDataset: string; isWhole: boolean; target: Inventory; settled: readonly SettledDelivery[] },
): LastKnownTarget {
  const isListed = (dataset: string): boolean =>
    isWhole || dataset === targetDataset || !isWithin(dataset, targetDataset);
  const kept = before?.target.datasets.filter(({ name }) => !isListed(name)) ?? [];
  const names = new Set(kept.map(({ name }) => name));
  const datasets = [...target.datasets.filter(({ name }) => !names.has(name)), ...kept];
  const appliedReceipts = settled.filter(({ start }) => isListed(start.targetDataset)).map(({ key }) => key);
  const unseenKeys = before?.unseenKeys?.filter((name) => !isListed(name)) ?? [];
  return {
    version: 1,
    ...(unseenKeys.length > 0 && { unseenKeys }),
    target: { ...target, datasets: datasets.sort((one, other) => (one.name < other.name ? -1 : 1)) },
    appliedReceipts: [...new Set([...(isWhole ? [] : (before?.appliedReceipts ?? [])), ...appliedReceipts])],
  };
}

/**
 * The known target after one of its deliveries was settled; the same object if that is recorded already. A receipt
 * stays until all targets of its stream have one, and counts once: a later listing of the target is newer.
 */
export function afterDelivery(lastKnown: LastKnownTarget, { key, start, state }: SettledDelivery): LastKnownTarget {
  if (lastKnown.appliedReceipts?.includes(key)) return lastKnown;
  const appliedReceipts = [...(lastKnown.appliedReceipts ?? []), key];
  if (state.type === 'delivered')
    return { ...lastKnown, target: predictInventory(lastKnown.target, [start]), appliedReceipts };
  // a stream that was damaged in the store is sent again, and so is one whose base the target never had
  const { error } = state;
  if (state.type === 'lost' && (state.error.code === 'STREAM_BROKEN' || !hadBase(lastKnown, start)))
    return { ...lastKnown, appliedReceipts };
  // a stream based on a rejected one is rejected only for that reason
  const refused = lastKnown.refused ?? error;
  return { ...lastKnown, ...(refused && { refused }), appliedReceipts };
}
