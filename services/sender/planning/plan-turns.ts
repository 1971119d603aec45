import { ZpsendError } from '../../../schemas/errors.ts';

/** Plans for one target at once. */
const atOnce = 4;

/** Who waits for a turn. */
interface TurnWait {
  /** Ends the wait, not the work. */
  readonly signal?: AbortSignal;
  /** Called when it has to wait. */
  readonly began?: () => void;
}

/**
 * @returns what the work does, once it is its turn
 * @throws the signal's reason; TIMEOUT or UNREACHABLE of another plan for the same target that ended so meanwhile
 */
export type PlanTurns = <T>(targetHost: string, work: () => Promise<T>, wait?: TurnWait) => Promise<T>;

type Turn = PromiseWithResolvers<void>;

/**
 * Lets plans for one target take turns, since each lists both sides: the listings of many jobs at once would keep each other waiting until they
 * count as silent, are asked for again, and make it worse. Plans for another target do not wait for these. Where a target does not answer one
 * plan, those that wait fail too: one after the other, each would wait as long for nothing.
 */
export function openPlanTurns(): PlanTurns {
  const targets = new Map<string, { running: number; readonly waiting: Set<Turn> }>();
  return async (targetHost, work, { signal, began } = {}) => {
    signal?.throwIfAborted();
    const target = targets.get(targetHost) ?? { running: 0, waiting: new Set() };
    targets.set(targetHost, target);
    if (target.running < atOnce) target.running += 1;
    else {
      began?.();
      await nextTurn(target.waiting, signal);
    }
    try {
      signal?.throwIfAborted();
      return await work();
    } catch (thrown) {
      if (isSilence(thrown)) failAll(target.waiting, thrown);
      throw thrown;
    } finally {
      // who waits gets the place of one that has ended
      const [next] = target.waiting;
      if (next) {
        target.waiting.delete(next);
        next.resolve();
      } else target.running -= 1;
      if (target.running === 0) targets.delete(targetHost);
    }
  };
}

/**
 * The turns of one job.
 * @param signal ends its waits
 */
export function turnsOfOne(all: PlanTurns, signal: AbortSignal): { turns: PlanTurns; since: () => number | undefined } {
  let since: number | undefined;
  const began = () => {
    since ??= performance.now();
  };
  return {
    turns: (targetHost, work) => all(targetHost, work, { signal, began }),
    /** When it first had to wait (monotonic milliseconds). */
    since: () => since,
  };
}

/** Waits among the others until it is called, or leaves them when the signal is aborted. */
async function nextTurn(waiting: Set<Turn>, signal: AbortSignal | undefined): Promise<void> {
  const turn = Promise.withResolvers<void>();
  const leave = () => {
    waiting.delete(turn);
    turn.reject(signal?.reason);
  };
  waiting.add(turn);
  signal?.addEventListener('abort', leave, { once: true });
  try {
    await turn.promise;
  } finally {
    signal?.removeEventListener('abort', leave);
  }
}

/** Nobody answers a request, which has a subject; `zfs` that hangs on one pool here says nothing of the target. */
const isSilence = (thrown: unknown): boolean =>
  thrown instanceof ZpsendError &&
  (thrown.code === 'TIMEOUT' || thrown.code === 'UNREACHABLE') &&
  thrown.details?.subject !== undefined;

function failAll(waiting: Set<Turn>, reason: unknown): void {
  const turns = [...waiting];
  waiting.clear();
  for (const turn of turns) turn.reject(reason);
}
