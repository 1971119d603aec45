import {
  abortReceiveArgv,
  destroySnapshotsArgv,
  markRollbackArgv,
  placeholderArgv,
  renameArgv,
  rollbackArgv,
} from './argv.ts';
import type { Commands } from './commands.ts';
import { nothingToAbort, onlyExists } from './errors.ts';

/** Commands that change a target, except `zfs receive` itself. */
export interface Changes {
  /**
   * Creates an empty, unmounted filesystem as a parent for others. It is encrypted if its own parent is.
   * @returns false if the dataset already exists
   * @throws ZpsendError NO_SUCH_DATASET if its parent does not exist
   */
  createPlaceholder(dataset: string): Promise<boolean>;
  /** Destroys these snapshots of one dataset, or none of them. @throws ZpsendError DIVERGED for a hold or a clone, BUSY for a running send */
  destroySnapshots(dataset: string, leaves: readonly string[]): Promise<void>;
  /** Records a rollback at the dataset (`rollbackMarkSchema`). Once this returns, `written` counts all earlier writes. */
  markRollback(dataset: string, guid: string, mark: string): Promise<void>;
  /** Discards writes since the dataset's newest snapshot. @throws ZpsendError DIVERGED if `snapshot` is not the newest */
  rollback(snapshot: string): Promise<void>;
  /** Renames a dataset with its descendants. @throws ZpsendError EXISTS, or BUSY if it cannot be unmounted */
  rename(from: string, to: string): Promise<void>;
  /** `zfs receive -A`: destroys partial state of an interrupted receive. Having none is no error. */
  abortReceive(dataset: string): Promise<void>;
}

export function changes({ run }: Commands): Changes {
  return {
    async createPlaceholder(dataset) {
      return (await run(placeholderArgv(dataset), `creating ${dataset}`, onlyExists)).ok;
    },

    async destroySnapshots(dataset, leaves) {
      await run(destroySnapshotsArgv(dataset, leaves), `destroying ${leaves.length} snapshots of ${dataset}`);
    },

    async markRollback(dataset, guid, mark) {
      await run(markRollbackArgv(dataset, guid, mark), `marking ${dataset} for a rollback`);
    },

    async rollback(snapshot) {
      await run(rollbackArgv(snapshot), `rolling back to ${snapshot}`);
    },

    async rename(from, to) {
      await run(renameArgv(from, to), `renaming ${from} to ${to}`);
    },

    async abortReceive(dataset) {
      await run(abortReceiveArgv(dataset), `aborting the partial receive of ${dataset}`, nothingToAbort);
    },
  };
}
