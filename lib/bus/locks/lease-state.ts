import { timing } from '../../time/timing.ts';
/**
 * A lease's life as data. Times are milliseconds of a monotonic clock, given from outside.
 *
 * The server counts the time to live from when it stored the last renewal, which is later than when we sent it. So a
 * lease counts from *before* the last good renewal was sent, and ends a margin earlier: the next holder of the lock
 * gets it after we have stopped (I13).
 */
export interface LeaseTimes {
  /** The bucket's time to live, as it was read last: it can be edited while the lease is held. */
  readonly ttl: number;
  /** How much earlier than that we stop, so that a receive has time to die. */
  readonly margin: number;
  /** How long after the last good renewal the next one is due. */
  readonly renew: number;
}

/** How long a holder that lost its lock may still change something, in ms after its last renewal: `actsWithinMs`, and 500 for an act to begin. */
export const settlesWithinMs = timing.locks.actsWithinMs + 500;

export type LeaseState =
  | {
      readonly held: true;
      readonly revision: number;
      /** Before the last good renewal was sent. */
      readonly since: number;
      /** When the renewal that is under way was sent. */
      readonly asked?: number;
      /** When the first renewal was sent whose fate is unknown: it may be what the server has stored. */
      readonly unsure?: number;
    }
  | { readonly held: false };

export type LeaseEvent =
  | { readonly type: 'tick'; readonly now: number }
  | { readonly type: 'renewed'; readonly revision: number }
  /** It is unknown whether a renewal was stored. */
  | { readonly type: 'unclear' }
  /** A renewal was refused, since the lock has another revision. */
  | { readonly type: 'refused' }
  | { readonly type: 'read'; readonly found: 'ours'; readonly revision: number }
  | { readonly type: 'read'; readonly found: 'other' | 'unknown' };

export type LeaseEffect = 'renew' | 'read' | 'lost';

export const timesFor = (ttl: number): LeaseTimes => ({
  ttl,
  margin: Math.min(5000, ttl / 4),
  renew: Math.min(timing.locks.renewsWithinMs, ttl / 3),
});

export const deadlineOf = (state: LeaseState & { held: true }, times: LeaseTimes): number =>
  state.since + times.ttl - times.margin;

/** May its holder begin to change something now? */
export const mayAct = (state: LeaseState, times: LeaseTimes, now: number): boolean =>
  state.held && now < Math.min(deadlineOf(state, times), state.since + timing.locks.actsWithinMs);

const lost: readonly [LeaseState, LeaseEffect] = [{ held: false }, 'lost'];

/** One event in a lease's life: the state after it, and what is to be done. */
export function stepLease(
  state: LeaseState,
  event: LeaseEvent,
  times: LeaseTimes,
): readonly [LeaseState, LeaseEffect?] {
  if (!state.held) return [state];
  const { asked, ...idle } = state;
  switch (event.type) {
    case 'tick':
      if (event.now >= deadlineOf(state, times)) return lost;
      if (asked === undefined && event.now >= state.since + times.renew) {
        return [{ ...state, asked: event.now, unsure: state.unsure ?? event.now }, 'renew'];
      }
      return [state];
    case 'renewed':
      return [{ held: true, revision: event.revision, since: asked ?? state.since }];
    case 'refused':
      // the other revision is ours only where an earlier renewal was unclear
      return asked !== undefined && state.unsure === asked ? lost : [state, 'read'];
    case 'unclear':
      return [state, 'read'];
    case 'read':
      if (event.found === 'other') return lost;
      // a newer revision with our nonce: one of the unclear renewals did arrive, at worst the first
      if (event.found === 'ours' && event.revision > state.revision) {
        return [{ held: true, revision: event.revision, since: state.unsure ?? state.since }];
      }
      return [idle];
  }
}
