import { type ErrorBody, ZpsendError } from '../../../../schemas/errors.ts';
import { creditMessageSchema } from '../../../../schemas/transfer.ts';
import { timing } from '../../../time/timing.ts';
import type { DataConnection } from '../../data-connection/connection.ts';
import type { ChannelSender } from '../channel.ts';
import { type Heartbeat, openHeartbeat } from '../heartbeat.ts';
import { checkText, type Tagger } from './authentic.ts';
import { probeBytes } from './frame.ts';
import { publication } from './publish.ts';
import { openProgressWatch } from './receiver-progress.ts';
import {
  abortFrame,
  type DirectSenderOptions,
  fail,
  lost,
  openSending,
  ping,
  publish,
  type Reach,
  type Sending,
  settle,
  wake,
} from './sending.ts';

/** The sender's end of the direct channel. */
export interface DirectSender extends ChannelSender {
  /** Control messages that the receiver has not sent, or not now; they change nothing. */
  readonly forged: number;
  /** Does what is published on this subject reach the receiver? To be asked before the subject is shared. */
  reaches(subject: string): Promise<Reach>;
}

/** A receiver that has sent so many control messages during a probe, and none about it, is unreached. */
const unreachedCount = 4;

/** Bytes per second that count as taking: a quarter of the least limit that a receiver may have. */
const leastRate = 256;

/** Between two probes of a subject, in ms, at most. */
const longestProbeMs = 250;

/** Sends heartbeats, and fails a receiver that takes nothing, or sends nothing, for too long. */
function watchReceiver(sending: Sending): Heartbeat {
  const { options, clock, window } = sending;
  const { silenceMs, patienceMs } = options;
  const taking = openProgressWatch({ patienceMs, leastRate });
  const heartbeatMs = Math.min(timing.direct.heartbeatMs, silenceMs / 5);
  const heartbeat = openHeartbeat(
    silenceMs,
    {
      beat() {
        if (clock.now() - sending.lastSent >= heartbeatMs) ping(sending);
        const { credit, sent, consumed } = window;
        // what is granted beyond a window after what was sent is no taking
        const granted = Math.min(credit, sent + options.window);
        const now = { granted, taken: consumed, waits: credit <= sent, ended: sending.hasEnded };
        const waited = taking.look(now, clock.now());
        if (waited !== undefined) fail(sending, takesNothing(waited));
      },
      silent() {
        const text = `the receiver was silent for ${Math.round(silenceMs / 1000)} s`;
        fail(sending, new ZpsendError('TIMEOUT', text, { reason: 'silent' }));
      },
    },
    clock,
  );
  sending.onSettled.push(heartbeat.stop);
  return heartbeat;
}

/** Pings until the receiver answers, since the first pings may be earlier than its subscription. @returns stops it */
function pingUntilAnswered(sending: Sending): () => void {
  let cancel = (): void => {};
  const next = (wait: number): void => {
    if (sending.isSettled) return;
    ping(sending);
    cancel = sending.clock.after(Math.min(wait, 1000), () => next(wait * 2));
  };
  next(timing.direct.firstProbeMs);
  const stop = (): void => cancel();
  sending.onSettled.push(stop);
  return stop;
}

/** @param heard called at each message that counts; @param granted at each credit */
function receiveMessage(
  sending: Sending,
  { heard, granted }: { heard: () => void; granted: () => void },
  tagged: string,
): void {
  const { options, window, hasEnded } = sending;
  const text = checkText(options.authentication.peer, tagged);
  if (text === undefined) {
    sending.forged += 1;
    if (sending.forged === 1) options.onForged?.();
    return;
  }
  const { data: message } = creditMessageSchema.safeParse(parseJson(text));
  if (!message) return;
  heard();
  if (message.type === 'credit') {
    granted();
    window.granted(message.upTo);
    sending.idleMs = message.idle ?? sending.idleMs;
    if (message.shared) sending.reached.resolve('reached');
    wake(sending);
  } else if (message.type === 'failed') settle(sending, message);
  else if (hasEnded && message.bytes === window.sent) settle(sending, message);
  else {
    const counts = `${message.bytes} bytes done, ${window.sent} sent${hasEnded ? '' : ', no end yet'}`;
    fail(
      sending,
      new ZpsendError('STREAM_BROKEN', `the receiver's final message does not fit what was sent: ${counts}`),
    );
  }
}

/** Probes a subject until the receiver reports the probe, or evidently does not get it. */
function reaches({ dataConnection, clock, reached }: Sending, heartbeat: Heartbeat, subject: string): Promise<Reach> {
  const [began, before] = [clock.now(), heartbeat.count];
  let cancel = (): void => {};
  const probe = (wait: number): void => {
    dataConnection.write(publication(subject, Buffer.alloc(probeBytes)), () => {});
    const passed = clock.now() - began;
    if (passed >= timing.direct.unreachedMs && heartbeat.count - before >= unreachedCount) reached.resolve('unreached');
    if (passed >= timing.direct.reachMs) reached.resolve('silent');
    cancel = clock.after(wait, () => probe(Math.min(wait * 2, longestProbeMs)));
  };
  probe(timing.direct.firstProbeMs);
  return reached.promise.finally(() => cancel());
}

/**
 * Opens the sender's end. Data waits for the receiver's first credit, which answers a ping: in a cluster the receiver's
 * subscription may take effect after its answer to `recv.start`, and what is published before that is lost.
 */
export function openDirectSender(dataConnection: DataConnection, options: DirectSenderOptions): DirectSender {
  const sending = openSending(dataConnection, options);
  const { dataSubject, creditSubject } = options;
  const heartbeat = watchReceiver(sending);
  const denied = (what: string, subject: string, error: Error): void =>
    fail(sending, new ZpsendError('NOT_ALLOWED', `may not ${what} ${subject}: ${error.message}`));
  let granted = (): void => {};
  const ends = [
    dataConnection.subscribe(
      creditSubject,
      (tagged) => receiveMessage(sending, { heard: heartbeat.heard, granted: () => granted() }, tagged),
      (error) => denied('subscribe to', creditSubject, error),
    ),
    dataConnection.onDisconnected(() => lost(sending)),
    dataConnection.onRefused((subject, error) => {
      if (subject === dataSubject || subject === sending.sharedSubject) denied('publish to', subject, error);
    }),
  ];
  granted = pingUntilAnswered(sending);
  return senderOf(sending, heartbeat, ends);
}

function senderOf(sending: Sending, heartbeat: Heartbeat, ends: readonly (() => void)[]): DirectSender {
  const { window, options, waiting } = sending;
  const abort = (error: ErrorBody): void => {
    if (sending.isSettled) return;
    publish(sending, abortFrame(window.sent, error));
    settle(sending, { type: 'failed', error });
  };
  return {
    get forged() {
      return sending.forged;
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
      return sending.idleMs;
    },
    get over() {
      return sending.over;
    },
    take(bytes) {
      sending.lastSent = sending.clock.now();
      window.take(bytes);
    },
    flushed(bytes) {
      window.flushed(bytes);
      wake(sending);
    },
    lost: () => lost(sending),
    leaveBehind: () => abort(straggler.toBody()),
    onChange(advance) {
      waiting.add(advance);
      return () => void waiting.delete(advance);
    },
    final: sending.final.promise,
    reaches: (subject) => reaches(sending, heartbeat, subject),
    share(subject) {
      sending.sharedSubject = subject;
    },
    end() {
      if (sending.isSettled || sending.hasEnded) return;
      sending.hasEnded = true;
      ping(sending);
    },
    abort,
    close() {
      if (!sending.isSettled) fail(sending, new ZpsendError('ABORTED', 'the sender closed its end of the transfer'));
      for (const end of ends) end();
    },
  };
}

/** Lets a receiver whose answer did not arrive know that no stream comes. */
export const abortUnheard = (
  dataConnection: DataConnection,
  { subject, tagger }: { readonly subject: string; readonly tagger: Tagger },
  error: ErrorBody,
): void => void dataConnection.write(publication(subject, tagger.tag(abortFrame(0, error))), () => {});

const takesNothing = (ms: number): ZpsendError =>
  new ZpsendError('TIMEOUT', `the receiver answers, but has taken none of the waiting bytes for ${ms / 1000} s`, {
    takes: 'nothing',
    seconds: ms / 1000,
  });

const straggler = new ZpsendError(
  'STREAM_BROKEN',
  'other receivers of the same stream had to wait for this one, so it continues with a separate stream',
);

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
