import { type ErrorBody, ZpsendError } from '../../../../schemas/errors.ts';
import { systemClock } from '../../../time/clock.ts';
import type { DataConnection } from '../../data-connection/connection.ts';
import type { RawSubscription } from '../../data-connection/protocol-splitter.ts';
import type { ChannelReceiver } from '../channel.ts';
import { openHeartbeat } from '../heartbeat.ts';
import { probeBytes } from './frame.ts';
import { type Frames, openFrames } from './frame-parser.ts';
import { handleFrames } from './receiver-frames.ts';
import {
  type DirectReceiverOptions,
  fail,
  grant,
  guarded,
  openReceiving,
  publish,
  type Receiving,
} from './receiving.ts';

/** The receiver's end of the direct channel. */
export interface DirectReceiver extends ChannelReceiver {
  /** Frames that carried another subject, or headers; they are not read. */
  readonly unexpected: number;
  /** Control messages that the sender has not sent, or not now; they change nothing. */
  readonly forged: number;
}

/** What arrives on the own subject, or on the shared one. */
function subscriptionOf(receiving: Receiving, frames: Frames, subject: string): RawSubscription {
  const isShared = subject === receiving.options.sharedSubject;
  const { flush } = receiving.input;
  let isProbe = false;
  return {
    subject,
    begin(length) {
      isProbe = isShared && length === probeBytes;
      if (isProbe) receiving.isProbed = true;
      else if (!receiving.isClosed) frames.begin(length);
    },
    piece(bytes, poolBuffer) {
      if (!receiving.isClosed && !receiving.isBroken && !isProbe) frames.piece(bytes, poolBuffer);
    },
    pause() {
      guarded(receiving, flush);
      if (isProbe) guarded(receiving, () => grant(receiving));
      isProbe = false;
    },
    unexpected() {
      receiving.unexpected += 1;
    },
  };
}

/** @returns unsubscribes from both */
function subscribe(receiving: Receiving, frames: Frames): () => void {
  const { dataSubject, sharedSubject } = receiving.options;
  const refused = (subject: string) => (error: Error) => {
    // without the shared subject the stream comes on the own one
    if (subject === sharedSubject) return;
    fail(receiving, new ZpsendError('NOT_ALLOWED', `may not subscribe to ${subject}: ${error.message}`));
  };
  const ends = [dataSubject, ...(sharedSubject === undefined ? [] : [sharedSubject])].map((subject) =>
    receiving.dataConnection.subscribeRaw(subscriptionOf(receiving, frames, subject), refused(subject)),
  );
  return () => {
    for (const end of ends) end();
  };
}

function silent(receiving: Receiving): void {
  const { window, options } = receiving;
  if (window.ended) return;
  const text = `the sender was silent for ${Math.round(options.silenceMs / 1000)} s (${options.dataSubject})`;
  fail(receiving, new ZpsendError('STREAM_BROKEN', text, { reason: 'silent' }));
}

/** @returns stops it */
function watchConnection(receiving: Receiving): () => void {
  const { dataConnection, window } = receiving;
  const lost = (): void => {
    if (window.ended) return;
    fail(receiving, new ZpsendError('STREAM_BROKEN', 'the connection to NATS was lost in mid-stream'));
  };
  const stop = dataConnection.onDisconnected(lost);
  if (!dataConnection.connected) queueMicrotask(lost);
  return stop;
}

/**
 * Subscribes to a stream, and grants the first credit once the sender has sent a control message. Before that no data is accepted, so that
 * only the sender that asked can begin. Its callbacks never run before this returns.
 */
export function openDirectReceiver(dataConnection: DataConnection, options: DirectReceiverOptions): DirectReceiver {
  const { rateLimit, authentication, clock = systemClock } = options;
  const receiving = openReceiving(dataConnection, options);
  const { window, input } = receiving;
  const heartbeat = openHeartbeat(
    options.silenceMs,
    {
      // until the final message, which waits for the end of `zfs receive`, the sender needs to see that this end lives
      beat: () =>
        receiving.isBroken ? publish(receiving, { type: 'credit', upTo: window.granted }) : grant(receiving),
      silent: () => silent(receiving),
    },
    clock,
  );
  const handlers = handleFrames(receiving, heartbeat.heard);
  const frames = openFrames({
    header: (frame, length) => guarded(receiving, () => handlers.header(frame, length)),
    data: (bytes, poolBuffer) => {
      if (!receiving.isBroken) input.push(bytes, poolBuffer);
    },
    control: (tagged) => guarded(receiving, () => handlers.message(tagged && authentication.peer.check(tagged))),
  });
  const ends = [
    heartbeat.stop,
    subscribe(receiving, frames),
    watchConnection(receiving),
    rateLimit?.onRoom(() => {
      if (window.owes && !window.ended) grant(receiving);
    }),
  ];
  return receiverOf(receiving, heartbeat, ends);
}

function receiverOf(
  receiving: Receiving,
  heartbeat: { readonly count: number },
  ends: readonly ((() => void) | undefined)[],
): DirectReceiver {
  const { window, input } = receiving;
  return {
    get received() {
      return window.received;
    },
    get consumed() {
      return window.consumed;
    },
    get progress() {
      return heartbeat.count;
    },
    get unexpected() {
      return receiving.unexpected;
    },
    get forged() {
      return receiving.forged;
    },
    attach: input.attach,
    finishInput: input.finish,
    cutInput: input.cut,
    done: ({ guid }) => publish(receiving, { type: 'done', guid, bytes: window.received }),
    failed: (error: ErrorBody) => publish(receiving, { type: 'failed', error }),
    close() {
      if (receiving.isClosed) return;
      receiving.isClosed = true;
      for (const end of ends) end?.();
      input.cut();
    },
  };
}
