import type { ErrorBody } from '../../../schemas/errors.ts';

/**
 * The states of one receive: `next(state, event) -> [state, effects]`. A runner performs the effects.
 *
 *   locking -> checking -> ready -> (preparing) -> receiving -> closing -> verifying -> releasing -> over
 *
 * Nothing on the target changes before the first frame has arrived in `ready` (I11). A failure while `zfs receive` runs leads through
 * `stopping`, which waits for its exit, so that the lock is never released under a running receive (I13).
 */
export type ReceivePhase =
  | 'locking'
  | 'checking'
  | 'ready'
  | 'preparing'
  | 'receiving'
  | 'closing'
  | 'verifying'
  | 'stopping'
  | 'releasing'
  | 'over';

/**
 * The preparation of the target before `zfs receive`: partial state of an older receive is discarded, missing parents are created, or a
 * conflict is resolved by the plan (`clear`, which discards partial state too if that is requested).
 */
type Preparation = 'discard' | 'make-parents' | 'clear';

export interface ReceiveState {
  readonly phase: ReceivePhase;
  /** At most one: partial state exists only where all parents exist. */
  readonly prepare: Preparation | 'nothing';
  /** Why it failed. */
  readonly error?: ErrorBody;
  /** The sender's "end" arrived while the target was being prepared. */
  readonly ended?: boolean;
  /** `zfs receive` exited 0 before the sender's "end" came: it stops reading at the stream's own end record. */
  readonly exited?: boolean;
}

export type ReceiveEvent =
  | { readonly type: 'locked' }
  /** The lock could not be taken, or the target's state does not allow the step. */
  | { readonly type: 'refused'; readonly error: ErrorBody }
  | { readonly type: 'accepted'; readonly prepare: ReceiveState['prepare'] }
  | { readonly type: 'first-frame' }
  | { readonly type: 'prepared' }
  /** The sender's "end": every byte has arrived. */
  | { readonly type: 'end' }
  /** A gap, silence, the sender's "abort", a request to abort, a stop of the service. */
  | { readonly type: 'broken'; readonly error: ErrorBody }
  | { readonly type: 'lease-lost'; readonly error: ErrorBody }
  | { readonly type: 'exited' }
  | { readonly type: 'receive-failed'; readonly error: ErrorBody }
  | { readonly type: 'verified' }
  | { readonly type: 'not-verified'; readonly error: ErrorBody }
  | { readonly type: 'released' };

export type ReceiveEffect =
  | 'inspect'
  | 'grant'
  | 'refuse'
  | Preparation
  | 'spawn'
  | 'close-input'
  /** Ends the input early, so that `zfs receive -s` keeps its partial state. It is killed if that does not end it. */
  | 'interrupt'
  | 'kill'
  | 'verify'
  | 'report-done'
  | 'report-failed'
  | 'release';

type Next = readonly [ReceiveState, ...ReceiveEffect[]];

export const begin: ReceiveState = { phase: 'locking', prepare: 'nothing' };

const to = (state: ReceiveState, phase: ReceivePhase, ...effects: ReceiveEffect[]): Next => [
  { ...state, phase },
  ...effects,
];

/** No `zfs receive` is running: report the error, and release the lock. */
const fail = (state: ReceiveState, error: ErrorBody): Next =>
  to({ ...state, error: state.error ?? error }, 'releasing', 'report-failed', 'release');

const stop = (state: ReceiveState, error: ErrorBody, how: 'interrupt' | 'kill'): Next =>
  to({ ...state, error: state.error ?? error }, 'stopping', how);

const isFailure = (
  event: ReceiveEvent,
): event is ReceiveEvent & { type: 'broken' | 'lease-lost' | 'receive-failed' | 'not-verified' } =>
  event.type === 'broken' ||
  event.type === 'lease-lost' ||
  event.type === 'receive-failed' ||
  event.type === 'not-verified';

/** The state after an event. An event without a meaning in a phase changes nothing. */
export function next(state: ReceiveState, event: ReceiveEvent): Next {
  switch (state.phase) {
    case 'locking':
      if (event.type === 'locked') {
        return state.error ? to(state, 'releasing', 'refuse', 'release') : to(state, 'checking', 'inspect');
      }
      if (event.type === 'refused') return to({ ...state, error: event.error }, 'over', 'refuse');
      // the answer about the lock is under way, and may be a lock to release
      return isFailure(event) ? [{ ...state, error: event.error }] : [state];
    case 'checking':
      if (event.type === 'accepted') return to({ ...state, prepare: event.prepare }, 'ready', 'grant');
      if (event.type === 'refused' || isFailure(event)) {
        return to({ ...state, error: event.error }, 'releasing', 'refuse', 'release');
      }
      return [state];
    case 'ready':
      if (event.type === 'first-frame') {
        return state.prepare === 'nothing' ? to(state, 'receiving', 'spawn') : to(state, 'preparing', state.prepare);
      }
      return isFailure(event) ? fail(state, event.error) : [state];
    case 'preparing':
      if (event.type === 'prepared') {
        if (state.error) return fail(state, state.error);
        return state.ended ? to(state, 'closing', 'spawn', 'close-input') : to(state, 'receiving', 'spawn');
      }
      if (event.type === 'end') return [{ ...state, ended: true }];
      if (event.type === 'receive-failed') return fail(state, event.error);
      // the command that prepares may finish, and then nothing is spawned
      return isFailure(event) ? [{ ...state, error: state.error ?? event.error }] : [state];
    case 'receiving':
      if (event.type === 'exited') return [{ ...state, exited: true }];
      if (event.type === 'end')
        return state.exited ? to(state, 'verifying', 'verify') : to(state, 'closing', 'close-input');
      if (state.exited && isFailure(event)) return fail(state, event.error);
      return whileRunning(state, event);
    case 'closing':
      if (event.type === 'exited') return to(state, 'verifying', 'verify');
      return whileRunning(state, event);
    case 'verifying':
      if (event.type === 'verified') return to(state, 'releasing', 'report-done', 'release');
      if (event.type === 'not-verified') return fail(state, event.error);
      return [state];
    case 'stopping':
      if (event.type === 'lease-lost') return [state, 'kill'];
      if (event.type === 'exited' || event.type === 'receive-failed') {
        return to(state, 'releasing', 'report-failed', 'release');
      }
      return [state];
    case 'releasing':
      return event.type === 'released' ? to(state, 'over') : [state];
    case 'over':
      return [state];
  }
}

function whileRunning(state: ReceiveState, event: ReceiveEvent): Next {
  if (event.type === 'receive-failed') return fail(state, event.error);
  if (event.type === 'broken') return stop(state, event.error, 'interrupt');
  if (event.type === 'lease-lost') return stop(state, event.error, 'kill');
  return [state];
}
