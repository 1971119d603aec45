import { extentCount, lastSnapshotExtents } from './content.ts';
import { isEnabled } from './features.ts';
import { randomGuid } from './guid.ts';
import { isEncrypted, isOpen, keyHolder } from './keys.ts';
import { findDataset, findSnapshot, lookupSnapshot } from './lookup.ts';
import { parentOf, parseName } from './names.ts';
import { newDataset } from './new-dataset.ts';
import { processStamp } from './processes.ts';
import { applies, storedValue } from './property-store.ts';
import { beingReceived, readProgress } from './receipt.ts';
import { type PropertyWishes, setProperties } from './receive-properties.ts';
import { Refusal } from './refusal.ts';
import { type Room, room } from './space.ts';
import type { Dataset, Pool, Snapshot } from './state.ts';
import { type StreamHead, streamKind } from './stream-format.ts';

/** The options of `zfs receive`. */
export interface Wishes extends PropertyWishes {
  target: string;
  resumable: boolean;
  force: boolean;
  unmounted: boolean;
}

export interface Admission {
  /** The id of this receive's progress record. */
  id: string;
  room: Room;
  warnings: string[];
}

/** Pool features that the flags of a stream need. */
const NEEDED = { largeblockok: 'large_blocks', embedok: 'embedded_data', compressok: 'lz4_compress' };

/** The message of 2.3; older releases print that the kernel modules must be upgraded. */
const EMBEDDED = 'incompatible embedded data stream feature with encrypted receive.';

/** Checks a stream against the pool, as ZFS does before it receives data, and prepares the dataset. */
export function admit(pool: Pool, head: StreamHead, wishes: Wishes): Admission | 'already there' {
  const name = parseName(wishes.target).dataset;
  const given = wishes.set.get('origin');
  const no = (why: string): Refusal =>
    new Refusal(`cannot receive ${streamKind(head, given !== undefined)} stream: ${why}`);
  const dataset = findDataset(pool, name);
  const warnings: string[] = [];
  if (given !== undefined && lookupSnapshot(pool, given) === undefined) {
    throw new Refusal(`cannot receive: specified origin fs (${given}) does not exist`);
  }
  for (const [property, value] of wishes.set) {
    if (property === 'origin') continue;
    if (!applies(property, head.type)) throw no(`property '${property}' does not apply to datasets of this type`);
    storedValue(property, value, (why) => new Refusal(`cannot receive: ${why}`));
  }
  for (const property of wishes.exclude) {
    if (!applies(property, head.type)) {
      warnings.push(`Warning: ${name}: property '${property}' does not apply to datasets of this type`);
    }
  }
  const lacking = Object.entries(NEEDED).find(
    ([flag, feature]) => head.flags.includes(flag) && !isEnabled(pool, feature),
  );
  const keeps = !wishes.resumable || isEnabled(pool, 'extensible_dataset');
  if (lacking || !keeps || (head.raw && !isEnabled(pool, 'encryption')))
    throw no('pool must be upgraded to receive this stream.');
  if (head.resume !== undefined) {
    if (dataset === undefined) throw no(`destination '${name}' does not exist`);
    resumeInto(dataset, head, no);
  } else if (head.fromguid === '0' || head.clone || given !== undefined) {
    intoNew(pool, dataset, name, head, wishes, no);
  } else {
    if (dataset === undefined) throw no(`destination '${name}' does not exist`);
    if (snapshotIsThere(dataset, head, wishes)) return 'already there';
    ontoExisting(pool, dataset, head, wishes, no);
  }
  if (pool.readOnly) throw no('pool is read-only');
  const receiving = findDataset(pool, name);
  if (receiving === undefined) throw no('no such dataset');
  if (head.resume === undefined) setProperties(receiving, head, wishes);
  const id = head.resume === undefined ? `${process.pid}-${randomGuid()}` : (receiving.receipt?.id ?? '');
  const space = room(pool, name);
  const newest = head.resume === undefined ? receiving.snapshots.at(-1)?.guid : receiving.receipt?.newest;
  receiving.receipt = {
    id,
    ...(newest !== undefined && { newest }),
    process: processStamp(),
    resumable: wishes.resumable,
    fresh: receiving.receipt?.fresh ?? false,
  };
  return { id, room: space, warnings };
}

function snapshotIsThere(dataset: Dataset, head: StreamHead, wishes: Wishes): boolean {
  return findSnapshot(dataset, snapshotName(head, wishes))?.guid === head.toguid;
}

/** The name of the received snapshot. */
export const snapshotName = (head: StreamHead, wishes: Wishes): string =>
  parseName(wishes.target).snapshot ?? head.toname.split('@')[1] ?? '';

const partial = (name: string): string =>
  `destination ${name} contains partially-complete state from "zfs receive -s".`;

function resumeInto(dataset: Dataset, head: StreamHead, no: (why: string) => Refusal): void {
  const progress = dataset.receipt === undefined ? undefined : readProgress(dataset.receipt.id);
  const wanted = progress?.object === head.resume?.object && progress?.offset === head.resume?.offset;
  if (dataset.receipt !== undefined && beingReceived(dataset)) throw no(partial(dataset.name));
  // ZFS prints this for a stream that does not continue the dataset's state
  if (progress === undefined || progress.toguid !== head.toguid || !wanted) {
    throw no('kernel modules must be upgraded to receive this stream.');
  }
}

function intoNew(
  pool: Pool,
  dataset: Dataset | undefined,
  name: string,
  head: StreamHead,
  wishes: Wishes,
  no: (why: string) => Refusal,
): void {
  const origin = findOrigin(pool, head, wishes);
  const parent = findDataset(pool, parentOf(name) ?? '');
  if (dataset !== undefined) {
    if (!wishes.force) throw no(`destination '${name}' exists\nmust specify -F to overwrite it`);
    const [first] = dataset.snapshots;
    if (first !== undefined) {
      throw no(`destination has snapshots (eg. ${name}@${first.name})\nmust destroy them to overwrite it`);
    }
    if (dataset.receipt !== undefined) throw no(partial(name));
  } else if (parent === undefined) {
    throw new Refusal(
      `cannot open '${parentOf(name) ?? name}': dataset does not exist\ncannot receive new filesystem stream: unable to restore to destination`,
    );
  } else {
    if (parent.type === 'volume') throw no(`parent '${parent.name}' is not a filesystem`);
    const model = origin?.dataset ?? parent;
    if (!head.raw && !isOpen(pool, model)) throw no('inherited key must be loaded');
    if (isEncrypted(model) && head.flags.includes('embedok')) throw no(EMBEDDED);
    if (origin !== undefined && head.fromguid !== '0' && origin.snapshot.guid !== head.fromguid)
      throw no(`most recent snapshot of ${name} does not\nmatch incremental source`);
    const made = newDataset(pool, name, head.type);
    made.unmounted = true;
    made.receipt = { id: '', process: processStamp(), resumable: wishes.resumable, fresh: true };
    // a clone has its origin's key; any other raw dataset has its own key, which is not loaded
    if (head.raw && origin === undefined) made.keyLoaded = false;
    if (!head.raw && isEncrypted(model)) made.props.encryption = model.props.encryption ?? 'off';
  }
  if (origin !== undefined) {
    const receiving = findDataset(pool, name);
    if (receiving !== undefined) receiving.origin = `${origin.dataset.name}@${origin.snapshot.name}`;
  }
  // a new dataset has the wrapping of its key at once, even if the stream is cut off later
  const made = findDataset(pool, name);
  if (made !== undefined && head.wrapping) keyHolder(pool, made).wrapping = head.wrapping;
}

/** The given origin, or the one whose guid is in the stream of a clone. */
function findOrigin(
  pool: Pool,
  head: StreamHead,
  wishes: Wishes,
): { dataset: Dataset; snapshot: Snapshot } | undefined {
  const given = wishes.set.get('origin');
  if (given === undefined && !head.clone) return undefined;
  const found =
    given === undefined
      ? pool.datasets
          .flatMap((dataset) => dataset.snapshots.map((snapshot) => ({ dataset, snapshot })))
          .find(({ snapshot }) => snapshot.guid === head.fromguid)
      : lookupSnapshot(pool, given);
  if (found === undefined) {
    const name = `${parseName(wishes.target).dataset}@${snapshotName(head, wishes)}`;
    throw new Refusal(`cannot receive: local origin for clone ${name} does not exist`);
  }
  return found;
}

function ontoExisting(
  pool: Pool,
  dataset: Dataset,
  head: StreamHead,
  wishes: Wishes,
  no: (why: string) => Refusal,
): void {
  if (dataset.receipt !== undefined) throw no(partial(dataset.name));
  const base = dataset.snapshots.find((snapshot) => snapshot.guid === head.fromguid);
  if (findSnapshot(dataset, snapshotName(head, wishes)) !== undefined && base !== undefined) {
    throw new Refusal(`cannot restore to ${dataset.name}@${snapshotName(head, wishes)}: destination already exists`);
  }
  if (base === undefined) throw no(`most recent snapshot of ${dataset.name} does not\nmatch incremental source`);
  if (head.raw && !isEncrypted(dataset)) throw no('cannot perform raw receive on top of existing unencrypted dataset');
  if (!head.raw && !isOpen(pool, dataset)) throw no('inherited key must be loaded');
  if (isEncrypted(dataset) && head.flags.includes('embedok')) throw no(EMBEDDED);
  if (head.raw && base.ivset !== head.fromIvset) {
    throw no(
      "IV set guid mismatch. See the 'zfs receive' man page section\n discussing the limitations of raw encrypted send streams.",
    );
  }
  if (dataset.large && !head.flags.includes('largeblockok')) {
    throw no('incremental send stream requires -L (--large-block), to match previous receive.');
  }
  // a raw stream is refused even for an empty local snapshot on the target (openzfs#15314)
  const own = head.raw && dataset.snapshots.at(-1) !== base;
  const newer = own || extentCount(dataset) > base.extents || lastSnapshotExtents(dataset) > base.extents;
  if (newer && !wishes.force) throw no(`destination ${dataset.name} has been modified\nsince most recent snapshot`);
}
