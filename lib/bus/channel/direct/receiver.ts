import { errorBodySchema, ZpsendError } from '../../../../schemas/errors.ts';
import type { CreditMessage } from '../../../../schemas/transfer.ts';
import type { DataConnection } from '../../data-connection/connection.ts';
import type { ChannelHandlers, ChannelReceiver } from '../channel.ts';
import { openHeartbeat } from '../heartbeat.ts';
import type { RateLimit } from '../rate-limit.ts';
import { tagText, type Words } from './authentic.ts';
import { openReceiveWindow, type Violation } from './flow-control.ts';
import { type FrameHeader, headerBytes, probeBytes, readHeader } from './frame.ts';
import { openFrames } from './frame-parser.ts';
import { openInput } from './receive-input.ts';

export interface DirectReceiverOptions extends ChannelHandlers {
  readonly dataSubject: string;
  /** Where the stream may come besides, together with others' that read along. Words never come there. */
  readonly sharedSubject?: string | undefined;
  readonly creditSubject: string;
  /** How this end speaks, and hears the sender. */
  readonly words: Words;
  /** Told once, when the first word comes that does not count. */
  readonly onForged?: (() => void) | undefined;
  /** Bytes that may be under way and unwritten; this is what the receive holds in memory (I8). */
  readonly window: number;
  /** A sender that says nothing for so many milliseconds is gone. */
  readonly silenceMs: number;
  /** How fast credit may be granted; as fast as `zfs receive` takes the stream without. */
  readonly rateLimit?: RateLimit | undefined;
}

/** The receiver's end of the direct channel. */
export interface DirectReceiver extends ChannelReceiver {
  /** Frames that carried another subject, or headers; they are not looked at. */
  readonly unexpected: number;
  /** Words that the sender has not said, or not now; they change nothing. */
  readonly forged: number;
}

const broke: Record<Violation, string> = {
  gap: 'a part of the stream is missing',
  'beyond-credit': 'the sender sent more than it was granted',
  'after-end': 'the sender sent more after the end',
  'total-mismatch': 'the stream ended, but not all of it arrived',
  malformed: 'a frame cannot be read',
};

/**
 * Begins to listen for a stream, and grants the first credit to a sender that has said a word: before that, no data is let in, so that
 * nothing begins but for the one who asked. Its callbacks never run before this returns.
 */
export function openDirectReceiver(dataConnection: DataConnection, options: DirectReceiverOptions): DirectReceiver {
  const { dataSubject, rateLimit } = options;
  const window = openReceiveWindow(options.window);
  let first = true;
  let broken = false;
  let closed = false;
  let unexpected = 0;
  let forged = 0;
  /** The sender has said a word. */
  let isMet = false;
  /** It was probed where the stream may come besides. */
  let hearsShared = false;

  const say = (message: CreditMessage): void =>
    dataConnection.say(options.creditSubject, tagText(options.words.own, JSON.stringify(message)));
  const grant = (): void => {
    if (closed || broken || !isMet) return;
    const before = window.granted;
    const upTo = window.grant(rateLimit?.room());
    rateLimit?.take(upTo - before);
    say({ type: 'credit', upTo, idle: Math.round(input.idleMs), ...(hearsShared && first && { shared: true }) });
  };
  const input = openInput({
    underPressure: () => dataConnection.underPressure,
    written: (bytes) => {
      if (window.consume(bytes)) grant();
    },
  });

  function fail(error: ZpsendError): void {
    if (broken || closed) return;
    broken = true;
    options.onBroken(error.toBody());
  }
  /** What a callback throws ends this transfer alone, not the connection's reading. */
  function guarded(call: () => void): void {
    try {
      call();
    } catch (error) {
      fail(ZpsendError.from(error));
    }
  }

  function isAccepted(frame: FrameHeader | undefined, length: number): frame is FrameHeader {
    const violation = frame ? window.accept(frame, length) : 'malformed';
    if (violation)
      fail(new ZpsendError('STREAM_BROKEN', `${broke[violation]} (${whereIn(frame)})`, { reason: violation }));
    return violation === undefined;
  }
  function header(frame: FrameHeader | undefined, length: number): void {
    if (!isAccepted(frame, length)) return;
    heartbeat.heard();
    streamFrame(false);
  }
  function word(checked: Buffer | undefined): void {
    const frame = checked && readHeader(checked);
    if (!checked || !frame) {
      forged += 1;
      if (forged === 1) options.onForged?.();
      return;
    }
    isMet = true;
    heartbeat.heard();
    if (frame.type === 'abort') {
      fail(abortReason(checked.toString('utf8', headerBytes)));
      return;
    }
    const hadEnded = window.ended;
    if (!isAccepted(frame, checked.length - headerBytes)) return;
    if (frame.type === 'ping' || hadEnded) grant();
    else streamFrame(true);
  }
  function streamFrame(isEnd: boolean): void {
    if (first) options.onFirstFrame();
    first = false;
    if (isEnd) options.onEnd(window.received);
  }
  const whereIn = (frame: FrameHeader | undefined): string =>
    `${frame ? `${frame.type} at byte ${frame.offset}` : 'no header'}, ${window.received} received, ${window.granted} granted, ${dataSubject}`;

  const heartbeat = openHeartbeat(options.silenceMs, {
    // until the final word, which waits for the end of `zfs receive`, a sender should not take us for gone
    beat: () => (broken ? say({ type: 'credit', upTo: window.granted }) : grant()),
    silent: () => {
      const seconds = Math.round(options.silenceMs / 1000);
      if (!window.ended)
        fail(
          new ZpsendError('STREAM_BROKEN', `the sender was silent for ${seconds} s (${dataSubject})`, {
            reason: 'silent',
          }),
        );
    },
  });
  const frames = openFrames({
    header: (frame, length) => guarded(() => header(frame, length)),
    data: (bytes, poolBuffer) => {
      if (!broken) input.push(bytes, poolBuffer);
    },
    word: (tagged) => guarded(() => word(tagged && options.words.peer.check(tagged))),
  });
  const claim = (subject: string): (() => void) => {
    const isShared = subject === options.sharedSubject;
    let isProbe = false;
    return dataConnection.claim(
      {
        subject,
        begin(length) {
          isProbe = isShared && length === probeBytes;
          if (isProbe) hearsShared = true;
          else if (!closed) frames.begin(length);
        },
        piece(bytes, poolBuffer) {
          if (!closed && !broken && !isProbe) frames.piece(bytes, poolBuffer);
        },
        pause() {
          guarded(input.flush);
          if (isProbe) guarded(grant);
          isProbe = false;
        },
        unexpected() {
          unexpected += 1;
        },
      },
      (error) => {
        // what is not heard there is not shared with this receiver
        if (!isShared) fail(new ZpsendError('NOT_ALLOWED', `may not subscribe to ${subject}: ${error.message}`));
      },
    );
  };
  const claims = [dataSubject, ...(options.sharedSubject === undefined ? [] : [options.sharedSubject])].map(claim);
  const lost = (): void => {
    if (!window.ended) fail(new ZpsendError('STREAM_BROKEN', 'the connection to NATS was lost in mid-stream'));
  };
  const stopWatching = dataConnection.onDisconnected(lost);
  const unsubscribeRate = rateLimit?.onRoom(() => {
    if (window.owes && !window.ended) grant();
  });
  if (!dataConnection.connected) queueMicrotask(lost);

  return {
    get received() {
      return window.received;
    },
    get consumed() {
      return window.consumed;
    },
    get heard() {
      return heartbeat.count;
    },
    get unexpected() {
      return unexpected;
    },
    get forged() {
      return forged;
    },
    attach: input.attach,
    finishInput: input.finish,
    cutInput: input.cut,
    done: ({ guid }) => say({ type: 'done', guid, bytes: window.received }),
    failed: (error) => say({ type: 'failed', error }),
    close() {
      if (closed) return;
      closed = true;
      heartbeat.stop();
      stopWatching();
      unsubscribeRate?.();
      for (const unclaim of claims) unclaim();
      input.cut();
    },
  };
}

/** The sender's reason, as far as its schema accepts it. */
function abortReason(text: string): ZpsendError {
  try {
    return ZpsendError.fromBody(errorBodySchema.parse(JSON.parse(text)));
  } catch {
    return new ZpsendError('STREAM_BROKEN', 'the sender gave up, with a reason that cannot be read', {
      reason: 'unreadable',
    });
  }
}
