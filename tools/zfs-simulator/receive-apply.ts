import { extentCount } from './content.ts';
import { keyHolder, newIvset } from './keys.ts';
import { findDataset, lookupSnapshot } from './lookup.ts';
import { parseName } from './names.ts';
import { dropReceipt } from './receipt.ts';
import { type Admission, snapshotName, type Wishes } from './receive-admit.ts';
import { Refusal } from './refusal.ts';
import type { Dataset, Pool, Receipt, Snapshot } from './state.ts';
import { type StreamHead, streamKind } from './stream-format.ts';

/** Creates the snapshot of a completely received stream. */
export function applyStream(pool: Pool, head: StreamHead, wishes: Wishes, admission: Admission): void {
  const dataset = findDataset(pool, parseName(wishes.target).dataset);
  const receipt = dataset?.receipt;
  if (dataset === undefined || receipt?.id !== admission.id)
    throw new Refusal(`cannot open '${wishes.target}': dataset does not exist`);
  const origin = dataset.origin === undefined ? undefined : lookupSnapshot(pool, dataset.origin);
  const base = dataset.snapshots.find((snapshot) => snapshot.guid === head.fromguid);
  if (base !== undefined && !wishes.force) checkUnchanged(dataset, receipt, head, wishes);
  // a full stream contains everything, even if it is received as a clone
  const whole = head.fromguid === '0';
  const begin =
    base !== undefined
      ? { of: dataset, count: base.extents }
      : origin && !whole
        ? { of: origin.dataset, count: origin.snapshot.extents }
        : undefined;
  dataset.extents = [...(begin?.of.extents.slice(0, begin.count * 2) ?? []), ...head.extents];
  // without -F, newer snapshots stay: they have no new data
  if (base !== undefined && wishes.force) dropNewer(dataset, base);
  else if (base === undefined && origin !== undefined) dataset.props['.shared'] = String(begin?.count ?? 0);
  dataset.type = head.type;
  if (head.wrapping) keyHolder(pool, dataset).wrapping = head.wrapping;
  if (head.flags.includes('largeblockok')) dataset.large = true;
  pool.txg += 2;
  dataset.snapshots.push({
    name: snapshotName(head, wishes),
    guid: head.toguid,
    txg: pool.txg,
    time: head.time,
    extents: extentCount(dataset),
    ...(head.ivset === undefined ? newIvset(dataset) : { ivset: head.ivset }),
  });
  if (receipt.fresh) {
    if (wishes.unmounted) dataset.unmounted = true;
    else delete dataset.unmounted;
  }
  delete dataset.receipt;
  dropReceipt(receipt);
}

/** Changes of the dataset during the receive make it fail; with `-s`, the received part stays. */
function checkUnchanged(dataset: Dataset, receipt: Receipt, head: StreamHead, wishes: Wishes): void {
  const newest = dataset.snapshots.at(-1);
  const no = (why: string): Refusal => new Refusal(`cannot receive ${streamKind(head, false)} stream: ${why}`);
  if (newest?.guid !== receipt.newest) {
    throw no(wishes.resumable ? 'kernel modules must be upgraded to receive this stream.' : 'invalid backup stream');
  }
  if (extentCount(dataset) > (newest?.extents ?? 0)) {
    throw no(`destination ${dataset.name} has been modified\nsince most recent snapshot`);
  }
}

function dropNewer(dataset: Dataset, base: Snapshot): void {
  const newer = dataset.snapshots.slice(dataset.snapshots.indexOf(base) + 1);
  if (newer.some((each) => each.holds !== undefined)) {
    throw new Refusal('cannot receive incremental stream: dataset is busy');
  }
  dataset.snapshots = dataset.snapshots.filter((each) => !newer.includes(each));
}
