import { ZpsendError } from '../../../../schemas/errors.ts';
import type { CreditMessage } from '../../../../schemas/transfer.ts';
import type { Clock } from '../../../time/clock.ts';
import type { DataConnection } from '../../data-connection/connection.ts';
import type { ChannelHandlers } from '../channel.ts';
import type { RateLimit } from '../rate-limit.ts';
import { type Authentication, tagText } from './authentic.ts';
import { openReceiveWindow, type ReceiveWindow } from './flow-control.ts';
import { type Input, openInput } from './receive-input.ts';

export interface DirectReceiverOptions extends ChannelHandlers {
  readonly dataSubject: string;
  /** A second subject of the stream, which receivers of the same stream share. Control messages never arrive there. */
  readonly sharedSubject?: string | undefined;
  readonly creditSubject: string;
  /** How this end tags its control messages, and checks those of the sender. */
  readonly authentication: Authentication;
  /** Called once, at the first message that does not count. */
  readonly onForged?: (() => void) | undefined;
  /** Bytes that may be under way and unwritten; this is what the receive holds in memory (I8). */
  readonly window: number;
  /** A sender that sends nothing for so many ms is gone. */
  readonly silenceMs: number;
  /** How fast credit may be granted; as fast as `zfs receive` takes the stream without. */
  readonly rateLimit?: RateLimit | undefined;
  readonly clock?: Clock;
}

/** What the parts of a receiver share. */
export interface Receiving {
  readonly dataConnection: DataConnection;
  readonly options: DirectReceiverOptions;
  readonly window: ReceiveWindow;
  readonly input: Input;
  /** The first frame of the stream is still to come. */
  isFirst: boolean;
  isBroken: boolean;
  isClosed: boolean;
  /** The sender has sent a control message that counts. */
  isMet: boolean;
  /** A probe arrived on the shared subject. */
  isProbed: boolean;
  unexpected: number;
  forged: number;
}

export const publish = ({ dataConnection, options }: Receiving, message: CreditMessage): void =>
  dataConnection.publish(options.creditSubject, tagText(options.authentication.own, JSON.stringify(message)));

/** Grants what there is room for, and repeats the last grant otherwise. */
export function grant(receiving: Receiving): void {
  const { options, window, input, isFirst, isProbed } = receiving;
  if (receiving.isClosed || receiving.isBroken || !receiving.isMet) return;
  const before = window.granted;
  const upTo = window.grant(options.rateLimit?.room());
  options.rateLimit?.take(upTo - before);
  const idle = Math.round(input.idleMs);
  publish(receiving, { type: 'credit', upTo, idle, ...(isProbed && isFirst && { shared: true }) });
}

export function fail(receiving: Receiving, error: ZpsendError): void {
  if (receiving.isBroken || receiving.isClosed) return;
  receiving.isBroken = true;
  receiving.options.onBroken(error.toBody());
}

/** What a callback throws ends this transfer alone, not the connection's reading. */
export function guarded(receiving: Receiving, call: () => void): void {
  try {
    call();
  } catch (error) {
    fail(receiving, ZpsendError.from(error));
  }
}

export function openReceiving(dataConnection: DataConnection, options: DirectReceiverOptions): Receiving {
  const window = openReceiveWindow(options.window);
  const input = openInput({
    ...(options.clock && { clock: options.clock }),
    underPressure: () => dataConnection.underPressure,
    written: (bytes) => {
      if (window.consume(bytes)) grant(receiving);
    },
  });
  const receiving: Receiving = {
    ...{ dataConnection, options, window, input },
    ...{ isFirst: true, isBroken: false, isClosed: false, isMet: false, isProbed: false },
    ...{ unexpected: 0, forged: 0 },
  };
  return receiving;
}
