import type { Msg } from '@nats-io/transport-node';
import type { z } from 'zod';
import { ZpsendError } from '../../../schemas/errors.ts';
import { answerInParts, type Bounds, manyAnswers, mostPartBytes, oneAnswer, openTally, tooMuch } from '../bounds.ts';
import type { Bus } from '../connection/connect.ts';
import { payloadTrouble } from '../connection/payload.ts';
import { decodeReply } from './codec.ts';
import { isPublishedTo, openInbox } from './inbox.ts';
import { checkPeer, headersFor, type Peer } from './machine-header.ts';
import { openSlices } from './slices.ts';

const encode = (body: object): string => JSON.stringify(body);

const noResponders = (subject: string): ZpsendError =>
  new ZpsendError(
    'UNREACHABLE',
    `no service answers on ${subject}: check that the service of that host runs and uses this NATS; zpsend hosts lists the hosts that answer`,
    { subject, reason: 'no-responders' },
  );

function translate(thrown: unknown, subject: string): ZpsendError {
  if (thrown instanceof ZpsendError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new ZpsendError('UNREACHABLE', `the request on ${subject} failed: ${message}`, { subject });
}

const disconnected = (subject: string): ZpsendError =>
  new ZpsendError('UNREACHABLE', `the connection to NATS is lost, so no request can be sent on ${subject}`, {
    subject,
    reason: 'connection-lost',
  });

/**
 * One request, one reply.
 * @param ms how long to wait, in milliseconds
 * @param peer the machine that answered before, or is set from this reply
 * @throws ZpsendError UNREACHABLE, TIMEOUT, or the error in the reply
 */
export async function request<S extends z.ZodType>(
  bus: Bus,
  subject: string,
  body: object,
  reply: S,
  ms = 5000,
  peer?: Peer,
): Promise<z.output<S>> {
  let answer: Msg | undefined;
  const each = (message: Msg): Verdict => {
    answer = message;
    return 'end';
  };
  await collect(bus, subject, body, { ms, peer, bounds: oneAnswer, each });
  checkPeer(peer, answer?.headers);
  return decodeReply(answer?.data ?? new Uint8Array(), reply);
}

function publish(bus: Bus, subject: string, body: object, reply: string, peer?: Peer): void {
  const marks = headersFor(bus, subject, peer);
  bus.nc.publish(subject, encode(body), { reply, ...(marks && { headers: marks }) });
}

const tooLate = (subject: string, ms: number): ZpsendError =>
  new ZpsendError('TIMEOUT', `the answer on ${subject} is still incomplete after ${ms / 1000} s`, {
    subject,
    limit: 'milliseconds',
    most: ms,
  });

/** The decision of `each` on a reply: keep it, end, or fail. */
type Verdict = 'keep' | 'end' | ZpsendError;

interface Collecting {
  /** The longest silence between two replies, in milliseconds. */
  readonly ms: number;
  readonly peer?: Peer | undefined;
  readonly bounds: Bounds;
  readonly each: (message: Msg) => Verdict;
}

/**
 * Publishes a request and passes every reply to `each`, until that ends, no reply arrives for `ms` milliseconds, or the replies exceed
 * their bounds.
 */
function collect(bus: Bus, subject: string, body: object, { ms, peer, bounds, each }: Collecting): Promise<void> {
  if (!bus.connected) return Promise.reject(disconnected(subject));
  const trouble = payloadTrouble(bus);
  if (trouble) return Promise.reject(trouble);
  const inbox = openInbox(bus.options.inboxPrefix);
  const tally = openTally(`the answer on ${subject}`, bounds);
  return new Promise<void>((resolve, reject) => {
    const end = (error?: ZpsendError) => {
      cancelSilence();
      cancelLate();
      slices.stop();
      tally.end();
      stopWatching();
      subscription.unsubscribe();
      if (error) reject(error);
      else resolve();
    };
    // first, since it throws on a closing connection
    const subscription = bus.nc.subscribe(inbox, {
      callback: (error, message) => {
        if (error) return end(translate(error, subject));
        if (!isPublishedTo(message, inbox)) return;
        if (message.headers?.code === 503) return end(noResponders(subject));
        const refused = tally.take(message.data.length);
        if (refused) return end(refused);
        cancelSilence();
        cancelSilence = bus.clock.after(ms, onSilence);
        slices.push(message);
      },
    });
    const slices = openSlices<Msg>((message) => {
      const verdict = each(message);
      if (verdict !== 'keep') end(verdict === 'end' ? undefined : verdict);
    });
    const onSilence = () =>
      end(new ZpsendError('TIMEOUT', `no answer on ${subject} within ${ms / 1000} s`, { subject }));
    let cancelSilence = bus.clock.after(ms, onSilence);
    const cancelLate = bus.clock.after(bounds.ms, () => end(tooLate(subject, bounds.ms)));
    const stopWatching = bus.onDisconnected(() => end(disconnected(subject)));
    // so that the client reports a publish that the server denies
    Object.assign(subscription, { requestSubject: subject });
    try {
      publish(bus, subject, body, inbox, peer);
    } catch (thrown) {
      end(translate(thrown, subject));
    }
  }).catch((thrown) => {
    throw translate(thrown, subject);
  });
}

/**
 * One request, several replies, ended by an empty one.
 * @param ms the longest silence between two replies, in milliseconds
 * @param onReply called at each reply
 * @throws ZpsendError UNREACHABLE, TIMEOUT, TOO_MUCH for replies beyond their bounds, or the error in a reply
 */
export async function requestMany<S extends z.ZodType>(
  bus: Bus,
  subject: string,
  body: object,
  reply: S,
  ms = 30_000,
  peer?: Peer,
  bounds: Bounds = answerInParts,
  onReply?: () => void,
): Promise<z.output<S>[]> {
  const replies: z.output<S>[] = [];
  const each = (message: Msg): Verdict => {
    onReply?.();
    try {
      checkPeer(peer, message.headers);
      if (message.data.length === 0) return 'end';
      if (message.data.length > mostPartBytes)
        return tooMuch(`a part of the answer on ${subject}`, 'bytes', mostPartBytes);
      replies.push(decodeReply(message.data, reply));
      return 'keep';
    } catch (thrown) {
      return ZpsendError.from(thrown);
    }
  };
  await collect(bus, subject, body, { ms, peer, bounds, each });
  return replies;
}

/**
 * Asks every instance at once and returns the answers of the next `ms` milliseconds; an empty list if there is no instance. Errors and
 * invalid answers are ignored.
 * @throws ZpsendError OTHER_MACHINE if only another machine with this host's name answers, TOO_MUCH for answers beyond their bounds
 */
export async function gather<S extends z.ZodType>(
  bus: Bus,
  subject: string,
  body: object,
  reply: S,
  ms: number,
  bounds: Bounds = manyAnswers,
): Promise<z.output<S>[]> {
  const { answers, stranger, refused } = await gatherAll(bus, subject, body, reply, ms, bounds);
  if (refused) throw refused;
  if (answers.length === 0 && stranger) throw stranger;
  return answers;
}

interface Gathered<T> {
  readonly answers: T[];
  readonly clear: boolean;
  /** The refusal of another machine that has this host's name. */
  readonly stranger: ZpsendError | undefined;
  /** The answers exceed their bounds. */
  readonly refused: ZpsendError | undefined;
}

/** As gather; `clear` is false if anything but an answer arrived, so that a missing answer proves nothing. */
export async function gatherAll<S extends z.ZodType>(
  bus: Bus,
  subject: string,
  body: object,
  reply: S,
  ms: number,
  bounds: Bounds = manyAnswers,
): Promise<Gathered<z.output<S>>> {
  const answers: z.output<S>[] = [];
  const tally = openTally(`the answer on ${subject}`, bounds);
  let clear = true;
  let stranger: ZpsendError | undefined;
  let refused: ZpsendError | undefined;
  if (!bus.connected) return { answers, clear: false, stranger, refused };
  const inbox = openInbox(bus.options.inboxPrefix);
  await new Promise<void>((resolve) => {
    const end = () => {
      tally.end();
      cancel();
      stopWatching();
      subscription.unsubscribe();
      resolve();
    };
    const subscription = bus.nc.subscribe(inbox, {
      callback: (error, message) => {
        if (error || !isPublishedTo(message, inbox)) clear = false;
        if (error) return end();
        if (!isPublishedTo(message, inbox)) return;
        if (message.headers?.code === 503) return end();
        refused = tally.take(message.data.length);
        if (refused) return end();
        try {
          answers.push(decodeReply(message.data, reply));
        } catch (thrown) {
          clear = false;
          const refusal = ZpsendError.from(thrown);
          if (refusal.code === 'OTHER_MACHINE') stranger = refusal;
        }
      },
    });
    const cancel = bus.clock.after(ms, end);
    const stopWatching = bus.onDisconnected(() => bus.nc.isClosed() && end());
    publish(bus, subject, body, inbox);
  });
  return { answers, clear: clear && bus.connected && !refused, stranger, refused };
}
