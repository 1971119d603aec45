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
import type { Zfs } from './zfs.ts';

type Changes = Pick<
  Zfs,
  'createPlaceholder' | 'destroySnapshots' | 'markRollback' | 'rollback' | 'rename' | 'abortReceive'
>;

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
