import type { Status } from '@nats-io/transport-node';
import { ZpsendError } from '../../../schemas/errors.ts';
import { timing } from '../../time/timing.ts';
import { isRefused } from './connect-error.ts';
import { neverRefused, type RefusalEvent, type RefusalState, stepRefusal, waitMs } from './refusal-state.ts';

/** What all connections of a process learn of being refused by NATS. */
export interface Refusal {
  /** Before the next try of any of them, in milliseconds. */
  readonly waitMs: number;
  /** Is the last word that they are refused? */
  readonly isRefused: boolean;
  /** A connection was refused, or something else went wrong; false for that. */
  failed(thrown: unknown): boolean;
  connected(): void;
  /** Resolves when they were refused for a minute. NOT_ALLOWED */
  readonly over: Promise<ZpsendError>;
}

export interface RefusalOptions {
  /** Why, and what to do, for a log. */
  words(thrown: unknown): string;
  say(event: 'nats.refused' | 'nats.accepted', text: string): void;
  now?: () => number;
}

export function openRefusal({ words, say, now = () => performance.now() }: RefusalOptions): Refusal {
  let state: RefusalState = neverRefused;
  const over = Promise.withResolvers<ZpsendError>();
  const feed = (event: RefusalEvent, thrown?: unknown): void => {
    const [next, ...effects] = stepRefusal(state, event);
    state = next;
    for (const effect of effects) {
      if (effect === 'log')
        say(
          'nats.refused',
          `${words(thrown)}; trying again for ${timing.connection.givesUpMs / 1000} s, then this service ends`,
        );
      if (effect === 'log-accepted') say('nats.accepted', 'the NATS server accepts this service again');
      if (effect === 'give-up')
        over.resolve(
          new ZpsendError('NOT_ALLOWED', `${words(thrown)}; for ${timing.connection.givesUpMs / 1000} s now`),
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
      feed({ type: 'refused', now: now() }, thrown);
      return true;
    },
    connected: () => feed({ type: 'connected' }),
    over: over.promise,
  };
}

/** What a connection's status has about refusals. */
export function noteStatus(status: Status, refusal: Refusal): void {
  if (status.type === 'error') refusal.failed(status.error);
  if (status.type === 'reconnect') refusal.connected();
}
