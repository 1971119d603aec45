import type { Clock } from '../../../lib/time/clock.ts';
import { ZpsendError } from '../../../schemas/errors.ts';

/** Plans for one target at once. */
const atOnce = 4;

/** How one plan waits for its turn. */
interface TurnWait {
  /** Ends the wait, not the work. */
  readonly signal?: AbortSignal;
  /** Called when the wait begins. */
  readonly onWait?: () => void;
}

/**
 * @returns the result of the work, once it is its turn
 * @throws the signal's reason; TIMEOUT or UNREACHABLE if another plan for this target failed so while this one waited
 */
export type PlanTurns = <T>(targetHost: string, work: () => Promise<T>, wait?: TurnWait) => Promise<T>;

type Turn = PromiseWithResolvers<void>;

/**
 * Lets plans for one target take turns, since each lists both sides. Too many listings at once would delay each other until
 * they time out and are repeated. If a target does not answer one plan, those that wait fail too: one after the other, each
 * would wait as long for nothing.
 */
export function openPlanTurns(): PlanTurns {
  const targets = new Map<string, { running: number; readonly waiting: Set<Turn> }>();
  return async (targetHost, work, { signal, onWait } = {}) => {
    signal?.throwIfAborted();
    const target = targets.get(targetHost) ?? { running: 0, waiting: new Set() };
    targets.set(targetHost, target);
    if (target.running < atOnce) target.running += 1;
    else {
      onWait?.();
      await nextTurn(target.waiting, signal);
    }
    try {
      signal?.throwIfAborted();
      return await work();
    } catch (thrown) {
      if (isSilence(thrown)) failAll(target.waiting, thrown);
      throw thrown;
    } finally {
      // the next one that waits takes the turn
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
export function turnsOfJob(
  all: PlanTurns,
  clock: Pick<Clock, 'now'>,
  signal: AbortSignal,
): { turns: PlanTurns; waitingSince: () => number | undefined } {
  let since: number | undefined;
  const onWait = () => {
    since ??= clock.now();
  };
  return {
    turns: (targetHost, work) => all(targetHost, work, { signal, onWait }),
    /** When it first had to wait (monotonic ms). */
    waitingSince: () => since,
  };
}

/** Waits for its turn, or until the signal is aborted. */
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

/** Did a request get no answer? Its error has a subject; an error of `zfs` on this host has none. */
const isSilence = (thrown: unknown): boolean =>
  thrown instanceof ZpsendError &&
  (thrown.code === 'TIMEOUT' || thrown.code === 'UNREACHABLE') &&
  thrown.details?.subject !== undefined;

function failAll(waiting: Set<Turn>, reason: unknown): void {
  const turns = [...waiting];
  waiting.clear();
  for (const turn of turns) turn.reject(reason);
}
