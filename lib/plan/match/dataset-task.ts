import type { DatasetEntry } from '../../../schemas/inventory.ts';
import type { Step } from '../../../schemas/plan.ts';
import type { Dated } from '../inventory/txg.ts';
import type { Refusal } from '../refusal.ts';
import type { PlaceBelow } from '../request/target-name.ts';
import type { Wanted } from '../request/wanted.ts';

/** Where a dataset begins that the target does not have yet. */
export type SeedStart =
  | { kind: 'full' }
  /** It is received as a clone of `origin`, the target's snapshot with the guid of `from`. */
  | {
      kind: 'clone';
      from: NonNullable<Step['from']>;
      origin: string;
      /** The place of `from` among the dataset's own snapshots, if it is one of them. */
      after?: Dated;
    };

/** One dataset of the source and where it goes. Both datasets hold their snapshots oldest first. */
export interface DatasetTask {
  source: { host: string; dataset: DatasetEntry };
  target: { host: string; name: string; dataset: DatasetEntry | undefined };
  wanted: Wanted;
  /** Places below the target that `-d` and `-e` would choose instead. */
  below: readonly PlaceBelow[];
  /** Asked only when the target lacks the dataset. */
  seedStart: () => SeedStart | Refusal;
}
