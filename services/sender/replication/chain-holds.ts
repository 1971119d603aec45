import type { Zfs } from '../../../lib/zfs/zfs.ts';
import type { Note, Step } from '../../../schemas/plan.ts';
import type { Log } from '../../host/log.ts';
import type { ChainCursor } from '../bases/cursors.ts';
import { type Held, releaseStep } from '../bases/holds.ts';
import { isReadOnly, readOnlyNote } from '../bases/read-only.ts';

export interface ChainHoldDeps {
  readonly zfs: Zfs;
  readonly log: Log;
  /** The source's. */
  readonly host: string;
  readonly tag: string;
  readonly cursor: ChainCursor;
  readonly noted: (note: Note) => void;
}

/** The step holds of one chain. */
export interface ChainHolds {
  readonly isEmpty: boolean;
  /** Holds the snapshots that a step needs. In a read-only pool nothing is held, and a note is made. @throws ZpsendError the error of ZFS */
  take(step: Step): Promise<void>;
  /** A step was sent whole without a confirmation, or exists already: the target may have nothing newer. */
  mayHaveArrived(step: Step | undefined): void;
  /**
   * Releases the holds, but not that of the next step's base: if it were destroyed between two steps, the target would have nothing
   * in common with the source. The last snapshot that arrived, or may have, gets its bookmark before its hold goes, or stays held.
   */
  release(base: string | undefined): Promise<void>;
}

export function openChainHolds({ zfs, log, host, tag, cursor, noted }: ChainHoldDeps): ChainHolds {
  let held: readonly Held[] = [];
  let unconfirmed: Step | undefined;
  return {
    get isEmpty() {
      return held.length === 0;
    },
    async take(step) {
      const needed: Held[] = step.from?.kind === 'snapshot' ? [step.from, step.to] : [step.to];
      const names = needed.map(({ name }) => name);
      const before = held;
      held = [...held.filter(({ name }) => !names.includes(name)), ...needed];
      try {
        // also a snapshot that is held already: another sender may have released it as a dead job's
        await zfs.hold(tag, names);
      } catch (thrown) {
        if (!isReadOnly(thrown)) throw thrown;
        // nothing can be destroyed in that pool either
        held = before;
        noted(readOnlyNote(step.to.name, host));
      }
    },
    mayHaveArrived(step) {
      unconfirmed = step;
    },
    async release(base) {
      const withoutBookmark = [
        await cursor.settle(base !== undefined),
        unconfirmed && (await cursor.markTentative(unconfirmed)),
      ];
      unconfirmed = undefined;
      for (const name of withoutBookmark) {
        if (name !== undefined && held.some((one) => one.name === name))
          log.warn('hold.kept', `${name} stays held by ${tag} until a later job has set its cursor bookmark`, {
            snapshot: name,
          });
      }
      const stays = ({ name }: Held): boolean => name === base || withoutBookmark.includes(name);
      const gone = held.filter((one) => !stays(one));
      held = held.filter(stays);
      await releaseStep(zfs, tag, gone, log);
    },
  };
}
