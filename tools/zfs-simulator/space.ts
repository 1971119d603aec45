import { extentBytes, ownBytes } from './content.ts';
import { lineage } from './lookup.ts';
import { isBelow } from './names.ts';
import { readProgress } from './receipt.ts';
import type { Dataset, Pool } from './state.ts';

/** Bytes of a dataset with its descendants and its partial receive. */
export function usedBytes(pool: Pool, dataset: Dataset): number {
  let bytes = ownUse(dataset);
  for (const other of pool.datasets) if (isBelow(other.name, dataset.name)) bytes += ownUse(other);
  return bytes;
}

const ownUse = (dataset: Dataset): number => ownBytes(dataset) + receiptBytes(dataset);

/** Bytes of an unfinished receive into the dataset. */
function receiptBytes(dataset: Dataset): number {
  const progress = dataset.receipt === undefined ? undefined : readProgress(dataset.receipt.id);
  if (progress === undefined) return 0;
  return extentBytes(progress.extents, 0, progress.object) + progress.offset;
}

export const poolUsed = (pool: Pool): number => pool.datasets.reduce((sum, dataset) => sum + ownUse(dataset), 0);

/** ZFS reserves 1/32 of a pool. */
const usable = (pool: Pool): number => Math.floor(pool.size - pool.size / 32);

export interface Room {
  bytes: number;
  /** Is a quota, and not the pool, the limit? */
  byQuota: boolean;
}

/** Available bytes for a dataset of that name. */
export function room(pool: Pool, name: string): Room {
  let left: Room = { bytes: Math.max(0, usable(pool) - poolUsed(pool)), byQuota: false };
  for (const ancestor of lineage(pool, name)) {
    const quota = Number(ancestor.props.quota ?? 0);
    if (quota === 0) continue;
    const bytes = Math.max(0, quota - usedBytes(pool, ancestor));
    if (bytes < left.bytes) left = { bytes, byQuota: true };
  }
  return left;
}

/** Bytes of `4G`, `1.5M`, `100000`; undefined for other text. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)([BKMGTPE]?)(?:i?B)?$/i.exec(text);
  if (match === null) return undefined;
  return Math.floor(Number(match[1]) * 1024 ** Math.max(0, 'BKMGTPE'.indexOf((match[2] ?? '').toUpperCase() || 'B')));
}
