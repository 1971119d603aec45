import { type ErrorBody, ZpsendError } from '../../../../schemas/errors.ts';
import { type CreditFinal, creditMessageSchema } from '../../../../schemas/transfer.ts';
import { timing } from '../../../time/timing.ts';
import type { DataConnection } from '../../data-connection/connection.ts';
import type { ChannelSender } from '../channel.ts';
import { openHeartbeat } from '../heartbeat.ts';
import type { RateLimit } from '../rate-limit.ts';
import { checkText, type Words, type WordTagger } from './authentic.ts';
import { openSendWindow } from './flow-control.ts';
import { controlFrame, longestBody, probeBytes } from './frame.ts';
import { publication } from './publish.ts';
import { openProgressWatch } from './receiver-progress.ts';

export interface DirectSenderOptions {
  readonly dataSubject: string;
  readonly creditSubject: string;
  /** How this end speaks, and hears the receiver. */
  readonly words: Words;
  /** Told once, when the first word comes that does not count. */
  readonly onForged?: (() => void) | undefined;
  /** The receiver's window: bytes that may be under way. */
  readonly window: number;
  /** A receiver that says nothing for so many milliseconds is gone. */
  readonly silenceMs: number;
  /** A receiver that takes nothing for so many milliseconds while bytes wait for it is given up, whatever it says; before the first byte and after the end ten times as late. */
  readonly patienceMs: number;
  /** How fast it may go; as fast as it can without. */
  readonly rateLimit?: RateLimit | undefined;
}

/** `unreached`: it answers, and nothing of that subject reaches it; `silent`: nobody can say. */
type Reach = 'heard' | 'unreached' | 'silent';

/** The sender's end of the direct channel. */
export interface DirectSender extends ChannelSender {
  /** Words that the receiver has not said, or not now; they change nothing. */
  readonly forged: number;
  /** Does the receiver hear what is published on this subject? To be asked before it is shared. */
  reaches(subject: string): Promise<Reach>;
}

/** A receiver that has sent so many words, for so many milliseconds, and none about a probe, is unreached. */
const unreachedCount = 4;

/** Bytes per second that count as taking: a quarter of the least limit that a receiver may have. */
const leastRate = 256;

/**
 * Opens the sender's end. Data waits for the receiver's first credit, which answers our pings: on the way through a cluster
 * the receiver's subscription may still be behind its answer to `recv.start`, and what is published before it is lost.
 */
export function openDirectSender(dataConnection: DataConnection, options: DirectSenderOptions): DirectSender {
  const { dataSubject, silenceMs, patienceMs, words } = options;
  const window = openSendWindow(options.window);
  const final = Promise.withResolvers<CreditFinal>();
  const taking = openProgressWatch({ patienceMs, leastRate });
  const waiting = new Set<() => void>();
  let idleMs = 0;
  let shared: string | undefined;
  const reached = Promise.withResolvers<Reach>();
  let forged = 0;
  let over: ErrorBody | undefined;
  let settled = false;
  let ended = false;
  let spoke = 0;
  let probing: NodeJS.Timeout | undefined;

  function settle(word: CreditFinal): void {
    if (settled) return;
    settled = true;
    if (word.type === 'failed') over = word.error;
    heartbeat.stop();
    reached.resolve('silent');
    clearTimeout(probing);
    final.resolve(word);
    wake();
  }
  function wake(): void {
    for (const advance of [...waiting]) advance();
  }
  const fail = (error: ZpsendError): void => settle({ type: 'failed', error: error.toBody() });
  const lost = (): void => fail(new ZpsendError('STREAM_BROKEN', 'the connection to NATS was lost in mid-stream'));

  /** Also where the stream is shared: a server keeps the order of what one connection publishes, whatever the subjects. */
  function say(word: Buffer): void {
    spoke = performance.now();
    if (!dataConnection.write(publication(dataSubject, words.own.tag(word)), () => {})) lost();
  }
  /** After the end it is said again instead: the first may have been lost on the way, without either of us noticing. */
  const ping = (): void => say(controlFrame(ended ? 'end' : 'ping', window.sent));

  const heartbeat = openHeartbeat(silenceMs, {
    beat() {
      if (performance.now() - spoke >= Math.min(timing.direct.heartbeatMs, silenceMs / 5)) ping();
      const { credit, sent, consumed } = window;
      // what is granted beyond what was sent and a window is no taking
      const granted = Math.min(credit, sent + options.window);
      const now = { granted, taken: consumed, waits: credit <= sent, ended };
      const waited = taking.look(now, performance.now());
      if (waited !== undefined) fail(takesNothing(waited));
    },
    silent: () =>
      fail(
        new ZpsendError('TIMEOUT', `the receiver was silent for ${Math.round(silenceMs / 1000)} s`, {
          reason: 'silent',
        }),
      ),
  });

  function hear(tagged: string): void {
    const text = checkText(words.peer, tagged);
    if (text === undefined) {
      forged += 1;
      if (forged === 1) options.onForged?.();
      return;
    }
    const parsed = creditMessageSchema.safeParse(parseJson(text));
    if (!parsed.success) return;
    heartbeat.heard();
    const word = parsed.data;
    if (word.type === 'credit') {
      clearTimeout(probing);
      window.granted(word.upTo);
      idleMs = word.idle ?? idleMs;
      if (word.shared) reached.resolve('heard');
      wake();
    } else if (word.type === 'failed') settle(word);
    else if (ended && word.bytes === window.sent) settle(word);
    else {
      const counts = `${word.bytes} bytes done, ${window.sent} sent${ended ? '' : ', no end yet'}`;
      fail(new ZpsendError('STREAM_BROKEN', `the receiver's final word does not fit what was sent: ${counts}`));
    }
  }
  const unsubscribe = dataConnection.hear(options.creditSubject, hear, (error) =>
    fail(new ZpsendError('NOT_ALLOWED', `may not subscribe to ${options.creditSubject}: ${error.message}`)),
  );
  const stopWatching = dataConnection.onDisconnected(lost);
  const unrefused = dataConnection.onRefused((subject, error) => {
    if (subject === dataSubject || subject === shared)
      fail(new ZpsendError('NOT_ALLOWED', `may not publish to ${subject}: ${error.message}`));
  });

  function probe(wait: number): void {
    if (settled) return;
    ping();
    probing = setTimeout(() => probe(wait * 2), Math.min(wait, 1000));
  }
  probe(timing.direct.firstProbeMs);

  const direct: DirectSender = {
    get forged() {
      return forged;
    },
    get sent() {
      return window.sent;
    },
    get consumed() {
      return window.consumed;
    },
    get room() {
      return window.room;
    },
    rateLimit: options.rateLimit,
    get idleMs() {
      return idleMs;
    },
    get over() {
      return over;
    },
    take(bytes) {
      spoke = performance.now();
      window.take(bytes);
    },
    flushed(bytes) {
      window.flushed(bytes);
      wake();
    },
    lost,
    leaveBehind: () => direct.abort(straggler.toBody()),
    onChange(advance) {
      waiting.add(advance);
      return () => void waiting.delete(advance);
    },
    final: final.promise,
    reaches(subject) {
      let timer: NodeJS.Timeout | undefined;
      const [began, before] = [performance.now(), heartbeat.count];
      const ask = (wait: number): void => {
        dataConnection.write(publication(subject, Buffer.alloc(probeBytes)), () => {});
        const passed = performance.now() - began;
        if (passed >= timing.direct.unreachedMs && heartbeat.count - before >= unreachedCount)
          reached.resolve('unreached');
        if (passed >= timing.direct.reachMs) reached.resolve('silent');
        timer = setTimeout(() => ask(Math.min(wait * 2, 250)), wait);
      };
      ask(timing.direct.firstProbeMs);
      return reached.promise.finally(() => clearTimeout(timer));
    },
    share(subject) {
      shared = subject;
    },
    end() {
      if (settled || ended) return;
      ended = true;
      ping();
    },
    abort(error) {
      if (settled) return;
      say(abortFrame(window.sent, error));
      settle({ type: 'failed', error });
    },
    close() {
      if (!settled) fail(new ZpsendError('ABORTED', 'the sender closed its end of the transfer'));
      unsubscribe();
      stopWatching();
      unrefused();
    },
  };
  return direct;
}

/** Tells a receiver whose answer was not heard that nothing comes. */
export const abortUnheard = (
  dataConnection: DataConnection,
  { subject, tagger }: { readonly subject: string; readonly tagger: WordTagger },
  error: ErrorBody,
): void => void dataConnection.write(publication(subject, tagger.tag(abortFrame(0, error))), () => {});

/** Of an error that is too long for a word its beginning is said. */
function abortFrame(sent: number, error: ErrorBody): Buffer {
  const body = JSON.stringify(error);
  if (Buffer.byteLength(body) <= longestBody) return controlFrame('abort', sent, body);
  const { code, message, retryable } = error;
  return controlFrame('abort', sent, JSON.stringify({ code, message: message.slice(0, 1000), retryable }));
}

const takesNothing = (ms: number): ZpsendError =>
  new ZpsendError('TIMEOUT', `the receiver answers, but takes nothing of what waits for it, for ${ms / 1000} s`, {
    takes: 'nothing',
    seconds: ms / 1000,
  });

const straggler = new ZpsendError(
  'STREAM_BROKEN',
  'other receivers of the same stream had to wait for this one, so it goes on with a stream of its own',
);

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
