import type { Status } from '@nats-io/transport-node';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { Clock } from '../../time/clock.ts';
import { timing } from '../../time/timing.ts';
import { isRefused } from './connect-error.ts';
import { neverRefused, type RefusalEvent, type RefusalState, stepRefusal, waitMs } from './refusal-state.ts';

/** The refusals by NATS that all connections of a process share. */
export interface Refusal {
  /** The delay before the next attempt of any connection, in milliseconds. */
  readonly waitMs: number;
  /** Was the last attempt refused? */
  readonly isRefused: boolean;
  /** Records a failed attempt. @returns whether it was a refusal */
  failed(thrown: unknown): boolean;
  connected(): void;
  /** Resolves with NOT_ALLOWED after a minute of refusals. */
  readonly over: Promise<ZpsendError>;
}

export interface RefusalOptions {
  /** The cause and the remedy, for the log. */
  words(thrown: unknown): string;
  log(event: 'nats.refused' | 'nats.accepted', text: string): void;
  readonly clock: Clock;
}

export function openRefusal({ words, log, clock }: RefusalOptions): Refusal {
  let state: RefusalState = neverRefused;
  const over = Promise.withResolvers<ZpsendError>();
  const feed = (event: RefusalEvent, thrown?: unknown): void => {
    const [next, ...effects] = stepRefusal(state, event);
    state = next;
    for (const effect of effects) {
      if (effect === 'log')
        log(
          'nats.refused',
          `${words(thrown)}; retrying for ${timing.connection.givesUpMs / 1000} s, then this service ends`,
        );
      if (effect === 'log-accepted') log('nats.accepted', 'the NATS server accepts this service again');
      if (effect === 'give-up')
        over.resolve(
          new ZpsendError('NOT_ALLOWED', `${words(thrown)}; refused for ${timing.connection.givesUpMs / 1000} s`),
        );
    }
  };
  return {
    get waitMs() {
      return waitMs(state);
    },
    get isRefused() {
      return state.refused !== undefined;
    },
    failed(thrown) {
      if (!isRefused(thrown)) return false;
      feed({ type: 'refused', now: clock.now() }, thrown);
      return true;
    },
    connected: () => feed({ type: 'connected' }),
    over: over.promise,
  };
}

/** Records the refusals and reconnects in a connection's status. */
export function noteStatus(status: Status, refusal: Refusal): void {
  if (status.type === 'error') refusal.failed(status.error);
  if (status.type === 'reconnect') refusal.connected();
}
