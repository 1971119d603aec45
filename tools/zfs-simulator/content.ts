import { randomNumber } from './guid.ts';
import type { Dataset } from './state.ts';

/** The bytes of an empty filesystem, so that sizes are never 0. */
const EMPTY_BYTES = 24_576;

/** Bytes that the first `count` numbers-pairs of a row of extents hold. */
export function extentBytes(extents: readonly number[], from: number, to: number): number {
  let bytes = 0;
  for (let at = from; at < to; at++) bytes += extents[at * 2] ?? 0;
  return bytes;
}

export const extentCount = (dataset: Dataset): number => dataset.extents.length / 2;

/** Extents that a clone shares with its origin. */
export const sharedExtents = (dataset: Dataset): number => Number(dataset.props['.shared'] ?? 0);

/** Bytes that the dataset refers to; with `count`, that a snapshot of so many extents does. */
export const referencedBytes = (dataset: Dataset, count = extentCount(dataset)): number =>
  EMPTY_BYTES + extentBytes(dataset.extents, 0, count);

/** The number of extents of the newest snapshot (or the origin). */
export const lastSnapshotExtents = (dataset: Dataset): number =>
  dataset.snapshots.at(-1)?.extents ?? sharedExtents(dataset);

/** Bytes written since the newest snapshot. */
export const writtenBytes = (dataset: Dataset): number =>
  extentBytes(dataset.extents, lastSnapshotExtents(dataset), extentCount(dataset)) +
  (dataset.snapshots.length === 0 && dataset.origin === undefined ? EMPTY_BYTES : 0);

/** Bytes of the dataset itself, without its children and without extents shared with its origin. */
export const ownBytes = (dataset: Dataset): number =>
  (dataset.origin === undefined ? EMPTY_BYTES : 0) +
  extentBytes(dataset.extents, sharedExtents(dataset), extentCount(dataset));

export function addExtent(dataset: Dataset, size: number): void {
  dataset.extents.push(size, randomNumber());
}

/** Folds extents into a digest: equal digests mean equal content. */
export function contentDigest(extents: readonly number[], count: number): string {
  let low = 0x811c9dc5;
  let high = 0x1000193;
  for (let at = 0; at < count * 2; at++) {
    const value = extents[at] ?? 0;
    low = Math.imul(low ^ (value >>> 0), 0x01000193) ^ (low >>> 15);
    high = Math.imul(high ^ (Math.floor(value / 2 ** 32) + low), 0x85ebca6b) ^ (high >>> 13);
  }
  return [low, high].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
}
