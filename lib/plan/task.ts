import type { DatasetEntry } from '../../schemas/inventory.ts';
import type { Wanted } from './wanted.ts';

/** One dataset of the source and where it goes. Both datasets hold their snapshots oldest first. */
export interface DatasetTask {
  source: { host: string; dataset: DatasetEntry };
  target: { host: string; name: string; dataset: DatasetEntry | undefined };
  wanted: Wanted;
  /** The snapshot that a clone can be received from at the target, given its origin's guid. */
  originOnTarget: (guid: string) => string | undefined;
}
