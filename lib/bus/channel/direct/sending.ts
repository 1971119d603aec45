import { type ErrorBody, ZpsendError } from '../../../../schemas/errors.ts';
import type { CreditFinal } from '../../../../schemas/transfer.ts';
import { type Clock, systemClock } from '../../../time/clock.ts';
import type { DataConnection } from '../../data-connection/connection.ts';
import type { RateLimit } from '../rate-limit.ts';
import type { Authentication } from './authentic.ts';
import { openSendWindow, type SendWindow } from './flow-control.ts';
import { controlFrame, longestBody } from './frame.ts';
import { publication } from './publish.ts';

export interface DirectSenderOptions {
  readonly dataSubject: string;
  readonly creditSubject: string;
  /** How this end tags its control messages, and checks those of the receiver. */
  readonly authentication: Authentication;
  /** Called once, at the first message that does not count. */
  readonly onForged?: (() => void) | undefined;
  /** The receiver's window: bytes that may be under way. */
  readonly window: number;
  /** A receiver that sends nothing for so many ms is gone. */
  readonly silenceMs: number;
  /** A receiver that takes nothing for so many ms while bytes wait for it fails; before the first byte and after the end ten times as late. */
  readonly patienceMs: number;
  /** How fast it may go; as fast as it can without. */
  readonly rateLimit?: RateLimit | undefined;
  readonly clock?: Clock;
}

/** `unreached`: the receiver answers, and nothing of that subject reaches it; `silent`: it does not answer. */
export type Reach = 'reached' | 'unreached' | 'silent';

/** What the parts of a sender share. */
export interface Sending {
  readonly dataConnection: DataConnection;
  readonly options: DirectSenderOptions;
  readonly clock: Clock;
  readonly window: SendWindow;
  readonly final: PromiseWithResolvers<CreditFinal>;
  readonly reached: PromiseWithResolvers<Reach>;
  /** Called when there may be more room. */
  readonly waiting: Set<() => void>;
  /** Called once the final message is known. */
  readonly onSettled: (() => void)[];
  /** Of the receiver's `zfs receive`, as it reported last. */
  idleMs: number;
  sharedSubject: string | undefined;
  forged: number;
  over: ErrorBody | undefined;
  isSettled: boolean;
  /** All data was sent, and `zfs send` exited 0. */
  hasEnded: boolean;
  /** When something was sent last, on the monotonic clock. */
  lastSent: number;
}

export const openSending = (dataConnection: DataConnection, options: DirectSenderOptions): Sending => ({
  ...{ dataConnection, options, clock: options.clock ?? systemClock, window: openSendWindow(options.window) },
  ...{ final: Promise.withResolvers<CreditFinal>(), reached: Promise.withResolvers<Reach>() },
  ...{ waiting: new Set<() => void>(), onSettled: [] },
  ...{
    idleMs: 0,
    sharedSubject: undefined,
    forged: 0,
    over: undefined,
    isSettled: false,
    hasEnded: false,
    lastSent: 0,
  },
});

export function wake({ waiting }: Sending): void {
  for (const advance of [...waiting]) advance();
}

/** Ends the transfer with the receiver's final message, or with a failure of this end. */
export function settle(sending: Sending, message: CreditFinal): void {
  if (sending.isSettled) return;
  sending.isSettled = true;
  if (message.type === 'failed') sending.over = message.error;
  for (const end of sending.onSettled) end();
  sending.reached.resolve('silent');
  sending.final.resolve(message);
  wake(sending);
}

export const fail = (sending: Sending, error: ZpsendError): void =>
  settle(sending, { type: 'failed', error: error.toBody() });

export const lost = (sending: Sending): void =>
  fail(sending, new ZpsendError('STREAM_BROKEN', 'the connection to NATS was lost in mid-stream'));

/** Also where the stream is shared: a server keeps the order of what one connection publishes, on all subjects. */
export function publish(sending: Sending, message: Buffer): void {
  const { dataConnection, options, clock } = sending;
  sending.lastSent = clock.now();
  const isSent = dataConnection.write(
    publication(options.dataSubject, options.authentication.own.tag(message)),
    () => {},
  );
  if (!isSent) lost(sending);
}

/** After the end it repeats the end, which may have been lost on its path without either side noticing. */
export const ping = (sending: Sending): void =>
  publish(sending, controlFrame(sending.hasEnded ? 'end' : 'ping', sending.window.sent));

/** An error that is too long for a control message is shortened. */
export function abortFrame(sent: number, error: ErrorBody): Buffer {
  const body = JSON.stringify(error);
  if (Buffer.byteLength(body) <= longestBody) return controlFrame('abort', sent, body);
  const { code, message, retryable } = error;
  return controlFrame('abort', sent, JSON.stringify({ code, message: message.slice(0, 1000), retryable }));
}
