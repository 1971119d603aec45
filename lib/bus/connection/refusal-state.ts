import { timing } from '../../time/timing.ts';
/**
 * What a process does while NATS refuses who it is, as data. All its connections share it: they have one identity, and try one after the other.
 * Times are milliseconds of a monotonic clock, given from outside.
 */
export interface RefusalState {
  /** Refused without an end since then, and the last time. */
  readonly refused?: { readonly since: number; readonly last: number; readonly tries: number };
}

export type RefusalEvent =
  | { readonly type: 'refused'; readonly now: number }
  /** One of the connections came about. */
  | { readonly type: 'connected' };

export type RefusalEffect = 'log' | 'give-up' | 'log-accepted';

/** Between two tries, of all connections together: the first, and at most. */
const [leastMs, mostMs] = [500, 10_000];

export const neverRefused: RefusalState = {};

/** How long each connection waits before its next try, in milliseconds. */
export const waitMs = ({ refused }: RefusalState): number =>
  refused ? Math.min(mostMs, leastMs * 2 ** Math.min(refused.tries, 10)) : leastMs;

/** One event: the state after it, and what is to be done. */
export function stepRefusal(state: RefusalState, event: RefusalEvent): readonly [RefusalState, ...RefusalEffect[]] {
  const { refused } = state;
  if (event.type === 'connected') return refused ? [neverRefused, 'log-accepted'] : [state];
  const { now } = event;
  if (!refused || now - refused.last > timing.connection.refusalGapMs)
    return [{ refused: { since: now, last: now, tries: 1 } }, 'log'];
  const next = { ...refused, last: now, tries: refused.tries + 1 };
  if (now - refused.since >= timing.connection.givesUpMs) return [{ refused: next }, 'give-up'];
  return [{ refused: next }];
}
