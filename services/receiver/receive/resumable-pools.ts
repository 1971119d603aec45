import type { Zfs } from '../../../lib/zfs/zfs.ts';
import { poolOf } from '../../../schemas/names.ts';

/** Which pools of this host can keep the partial state of an interrupted receive. */
export interface ResumablePools {
  /** Reads the features of a dataset's pool, once for each pool. A failure to read them is no error. */
  read(targetDataset: string): Promise<void>;
  /** False only if the pool is known to lack the feature: `zfs receive -s` is refused there (zfs-receive(8), sanoid#331). */
  has(targetDataset: string): boolean;
}

export function openResumablePools(zfs: Pick<Zfs, 'poolFacts'>): ResumablePools {
  const known = new Map<string, boolean>();
  return {
    async read(targetDataset) {
      const pool = poolOf(targetDataset);
      if (known.has(pool)) return;
      const features = (await zfs.poolFacts(pool))?.features[pool];
      if (features) known.set(pool, features.includes('extensible_dataset'));
    },
    has: (targetDataset) => known.get(poolOf(targetDataset)) ?? true,
  };
}
