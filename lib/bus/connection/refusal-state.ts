import { timing } from '../../time/timing.ts';
/**
 * The state of a process whose identity NATS refuses. All its connections share it, since they have one identity.
 * Times are milliseconds of a monotonic clock, which the caller passes.
 */
export interface RefusalState {
  /** The first and the last refusal since the last success. */
  readonly refused?: { readonly since: number; readonly last: number; readonly tries: number };
}

export type RefusalEvent =
  | { readonly type: 'refused'; readonly now: number }
  /** One of the connections succeeded. */
  | { readonly type: 'connected' };

export type RefusalEffect = 'log' | 'give-up' | 'log-accepted';

/** The first and the longest delay between two attempts of all connections together, in milliseconds. */
const [leastMs, mostMs] = [500, 10_000];

export const neverRefused: RefusalState = {};

/** How long each connection waits before its next attempt, in milliseconds. */
export const waitMs = ({ refused }: RefusalState): number =>
  refused ? Math.min(mostMs, leastMs * 2 ** Math.min(refused.tries, 10)) : leastMs;

/** The next state after one event, and its effects. */
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
