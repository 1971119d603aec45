import type { Readable } from 'node:stream';
import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import { type CreditFinal, creditMessageSchema } from '../../../schemas/transfer.ts';
import type { BulkConnection } from './bulk-connection.ts';
import { controlFrame } from './frame.ts';
import { dataPublications, publication } from './outbound.ts';
import type { Pace } from './pace.ts';
import { openPulse } from './pulse.ts';
import { pump } from './pump.ts';
import { type ByteSource, sourceOf } from './source.ts';
import { openSendWindow } from './window.ts';

export interface DirectSenderOptions {
  readonly dataSubject: string;
  readonly creditSubject: string;
  /** The receiver's window: bytes that may be under way. */
  readonly window: number;
  /** A receiver that says nothing for so many milliseconds is gone. */
  readonly silenceMs: number;
  /** How fast it may send; as fast as it can without. */
  readonly pace?: Pace | undefined;
}

/** The sender's end of the direct channel. */
export interface DirectSender {
  /** Bytes sent, and bytes that the receiver is known to have handed to `zfs receive`. */
  readonly sent: number;
  readonly consumed: number;
  /**
   * Sends all of `source`, no faster than the receiver grants. Says nothing about an end: that is for end().
   * @throws ZpsendError when the source breaks off, or with the reason when the transfer has failed
   */
  pump(source: ByteSource | Readable): Promise<{ bytes: number }>;
  /** "That was all of it": only after `zfs send` exited 0 (I7). Does nothing when the transfer has failed. */
  end(): void;
  /** Tells the receiver why there will be no end, and settles `final` with it. */
  abort(error: ErrorBody): void;
  /** The receiver's final word; or what went wrong on the way, as a failure. Never rejects. */
  readonly final: Promise<CreditFinal>;
  close(): void;
}

/** A sender that has nothing to send speaks after so many milliseconds: well within the silence that any receiver bears. */
const quietMs = 400;
/** How soon a receiver that has not answered yet is asked again, in milliseconds; doubled every time. */
const firstKnockMs = 20;

/**
 * Opens the sender's end. Data waits for the receiver's first credit, which answers our pings: on the way through a cluster
 * the receiver's subscription may still be behind its answer to `recv.start`, and what is published before it is lost.
 */
export function openDirectSender(bulk: BulkConnection, options: DirectSenderOptions): DirectSender {
  const { dataSubject, silenceMs, pace } = options;
  const window = openSendWindow(options.window);
  const final = Promise.withResolvers<CreditFinal>();
  const waiting = new Set<() => void>();
  let over: ErrorBody | undefined;
  let settled = false;
  let ended = false;
  let spoke = 0;
  let knocking: NodeJS.Timeout | undefined;

  function settle(word: CreditFinal): void {
    if (settled) return;
    settled = true;
    if (word.type === 'failed') over = word.error;
    pulse.stop();
    clearTimeout(knocking);
    final.resolve(word);
    wake();
  }
  function wake(): void {
    for (const advance of [...waiting]) advance();
  }
  const fail = (error: ZpsendError): void => settle({ type: 'failed', error: error.toBody() });
  const lost = (): void => fail(new ZpsendError('STREAM_BROKEN', 'the connection to NATS was lost in mid-stream'));

  function write(parts: readonly Buffer[], flushed: () => void = () => {}): void {
    spoke = performance.now();
    if (!bulk.write(parts, flushed)) lost();
  }
  /** After the end it is said again instead: the first may have been lost on the way, without either of us noticing. */
  const ping = (): void => write(publication(dataSubject, controlFrame(ended ? 'end' : 'ping', window.sent)));

  const pulse = openPulse(silenceMs, {
    beat() {
      if (performance.now() - spoke >= Math.min(quietMs, silenceMs / 5)) ping();
    },
    silent: () => fail(new ZpsendError('TIMEOUT', `the receiver was silent for ${Math.round(silenceMs / 1000)} s`)),
  });

  function hear(text: string): void {
    const parsed = creditMessageSchema.safeParse(parseJson(text));
    if (!parsed.success) return;
    pulse.heard();
    const word = parsed.data;
    if (word.type === 'credit') {
      clearTimeout(knocking);
      window.granted(word.upTo);
      wake();
    } else if (word.type === 'failed') settle(word);
    else if (ended && word.bytes === window.sent) settle(word);
    else {
      const counts = `${word.bytes} bytes done, ${window.sent} sent${ended ? '' : ', no end yet'}`;
      fail(new ZpsendError('STREAM_BROKEN', `the receiver's final word does not fit what was sent: ${counts}`));
    }
  }
  const unhear = bulk.hear(options.creditSubject, hear, (error) =>
    fail(new ZpsendError('NOT_ALLOWED', `may not subscribe to ${options.creditSubject}: ${error.message}`)),
  );
  const unwatch = bulk.onDisconnected(lost);
  const unrefused = bulk.onRefused((subject, error) => {
    if (subject === dataSubject)
      fail(new ZpsendError('NOT_ALLOWED', `may not publish to ${dataSubject}: ${error.message}`));
  });

  function knock(wait: number): void {
    if (settled) return;
    ping();
    knocking = setTimeout(() => knock(wait * 2), Math.min(wait, 1000));
  }
  knock(firstKnockMs);

  return {
    get sent() {
      return window.sent;
    },
    get consumed() {
      return window.consumed;
    },
    final: final.promise,
    async pump(source) {
      await pump(sourceOf(source), {
        room: () => Math.min(window.room, pace?.room() ?? window.room),
        send(bytes, flushed) {
          const parts = dataPublications(dataSubject, window.sent, bytes);
          window.take(bytes.length);
          pace?.take(bytes.length);
          write(parts, () => {
            flushed();
            window.flushed(bytes.length);
            wake();
          });
        },
        failure: () => over && ZpsendError.fromBody(over),
        onChange(advance) {
          waiting.add(advance);
          const unpace = pace?.onRoom(advance);
          return () => {
            waiting.delete(advance);
            unpace?.();
          };
        },
      });
      return { bytes: window.sent };
    },
    end() {
      if (settled || ended) return;
      ended = true;
      write(publication(dataSubject, controlFrame('end', window.sent)));
    },
    abort(error) {
      if (settled) return;
      write(publication(dataSubject, controlFrame('abort', window.sent, JSON.stringify(error))));
      settle({ type: 'failed', error });
    },
    close() {
      if (!settled) fail(new ZpsendError('ABORTED', 'the sender closed its end of the transfer'));
      unhear();
      unwatch();
      unrefused();
    },
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
