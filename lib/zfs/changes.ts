import {
  abortReceiveArgv,
  destroySnapshotsArgv,
  markRollbackArgv,
  placeholderArgv,
  renameArgv,
  rollbackArgv,
} from './argv.ts';
import type { Commands } from './commands.ts';
import { nothingToAbort, onlyThere } from './errors.ts';

/** What is done to a target besides receiving into it. */
export interface Changes {
  /**
   * Makes an empty filesystem that is never mounted, as a parent for others; it is encrypted exactly when its own parent is.
   * False when a dataset of that name is there already, which is no error. Its parent must exist: NO_SUCH_DATASET.
   */
  createPlaceholder(dataset: string): Promise<boolean>;
  /** Destroys those snapshots of one dataset, all or none: what is held, sent or cloned from keeps all from going. DIVERGED, BUSY. */
  destroySnapshots(dataset: string, leaves: readonly string[]): Promise<void>;
  /** Remembers a rollback at the dataset (`rollbackMarkSchema`); all that was written before is counted once this is done. */
  markRollback(dataset: string, guid: string, mark: string): Promise<void>;
  /** Drops what was written since the dataset's newest snapshot; DIVERGED where this is not the newest. */
  rollback(snapshot: string): Promise<void>;
  /** Renames a dataset with all below it; EXISTS where the name is taken, BUSY where it cannot be unmounted. */
  rename(from: string, to: string): Promise<void>;
  /** `zfs receive -A`: destroys what an interrupted receive left. Nothing to abort is no error. */
  abortReceive(dataset: string): Promise<void>;
}

/** What is done to a target besides receiving into it. */
export function changes({ must }: Commands): Changes {
  return {
    async createPlaceholder(dataset) {
      return (await must(placeholderArgv(dataset), `making ${dataset}`, onlyThere)).ok;
    },

    async destroySnapshots(dataset, leaves) {
      await must(destroySnapshotsArgv(dataset, leaves), `destroying ${leaves.length} snapshots of ${dataset}`);
    },

    async markRollback(dataset, guid, mark) {
      await must(markRollbackArgv(dataset, guid, mark), `marking ${dataset} for a rollback`);
    },

    async rollback(snapshot) {
      await must(rollbackArgv(snapshot), `rolling back to ${snapshot}`);
    },

    async rename(from, to) {
      await must(renameArgv(from, to), `renaming ${from} to ${to}`);
    },

    async abortReceive(dataset) {
      await must(abortReceiveArgv(dataset), `aborting the partial receive of ${dataset}`, nothingToAbort);
    },
  };
}
