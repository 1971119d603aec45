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

/** What one chain holds on its source. */
export interface ChainHolds {
  readonly isEmpty: boolean;
  /** Holds what a step needs; of a pool that is read-only a note says that nothing is held. @throws ZpsendError what ZFS said */
  take(step: Step): Promise<void>;
  /** A step was sent whole and not heard of, or is there already: its target may have nothing newer. */
  mayHaveArrived(step: Step | undefined): void;
  /**
   * Releases what is held, but not what the next step starts from: were it destroyed between two steps, the target would have
   * nothing in common with the source. What arrived last, or may have, has its bookmark before its hold goes, or is left held.
   */
  release(base: string | undefined): Promise<void>;
}

export function openChainHolds({ zfs, log, host, tag, cursor, noted }: ChainHoldDeps): ChainHolds {
  let held: readonly Held[] = [];
  let unheard: Step | undefined;
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
        // also what we hold already: who took us for dead has released it
        await zfs.hold(tag, names);
      } catch (thrown) {
        if (!isReadOnly(thrown)) throw thrown;
        // nothing can be destroyed there either
        held = before;
        noted(readOnlyNote(step.to.name, host));
      }
    },
    mayHaveArrived(step) {
      unheard = step;
    },
    async release(base) {
      const bare = [await cursor.settle(base !== undefined), unheard && (await cursor.markTentative(unheard))];
      unheard = undefined;
      for (const name of bare) {
        if (name !== undefined && held.some((one) => one.name === name))
          log.warn('hold.kept', `${name} stays held by ${tag} until a later job has set its cursor bookmark`, {
            snapshot: name,
          });
      }
      const stays = ({ name }: Held): boolean => name === base || bare.includes(name);
      const gone = held.filter((one) => !stays(one));
      held = held.filter(stays);
      await releaseStep(zfs, tag, gone, log);
    },
  };
}
