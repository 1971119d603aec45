import type { DatasetEntry } from '../../../schemas/inventory.ts';
import type { Step } from '../../../schemas/plan.ts';
import type { Dated } from '../inventory/txg.ts';
import type { Refusal } from '../refusal.ts';
import type { AppendedTarget } from '../request/target-name.ts';
import type { Wanted } from '../request/wanted.ts';

/** How a dataset starts that the target does not have yet. */
export type SeedStart =
  | { kind: 'full' }
  /** As a clone of `origin`, the target's snapshot with the guid of `from`. */
  | {
      kind: 'clone';
      from: NonNullable<Step['from']>;
      origin: string;
      /** The createtxg of `from`, if it is one of the dataset's own snapshots. */
      after?: Dated;
    };

/** One dataset of the source and its target. Both have their snapshots oldest first. */
export interface DatasetTask {
  source: { host: string; dataset: DatasetEntry };
  target: { host: string; dataset: DatasetEntry | undefined };
  targetDataset: string;
  wanted: Wanted;
  /** Datasets below the target that `-d` and `-e` would choose instead. */
  below: readonly AppendedTarget[];
  /** Called only if the target lacks the dataset. */
  seedStart: () => SeedStart | Refusal;
}
