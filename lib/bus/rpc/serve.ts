import { headers, type Msg, type MsgHdrs, type Subscription } from '@nats-io/transport-node';
import pLimit from 'p-limit';
import type { z } from 'zod';
import { type ErrorBody, ZpsendError } from '../../../schemas/errors.ts';
import type { Bus } from '../connection/connect.ts';
import { payloadTrouble } from '../connection/payload.ts';
import { decodeRequest, headline, statusOf } from './codec.ts';
import { checkMeant, markMachine } from './machine-header.ts';

export interface Endpoint<S extends z.ZodType> {
  /** Shown by `nats micro info`. */
  name: string;
  subject: string;
  /** Instances of one queue group share the requests; without it every instance gets each. */
  queue?: string;
  /** Requests handled at once, where each starts processes; others wait for their turn, and too many are answered BUSY. */
  atOnce?: number;
  /** Answers requests for any machine: its answer names this one. */
  identifies?: boolean;
  request: S;
  /** What a plain-text body means. */
  fromText?: (text: string) => unknown;
  /** One reply, or several that an empty message ends. An endpoint that has no answer resolves to undefined. */
  handle: (request: z.output<S>, subject: string) => Promise<object | undefined> | AsyncIterable<object>;
}

interface EndpointStats {
  readonly name: string;
  readonly subject: string;
  readonly queue: string;
  requests: number;
  errors: number;
  lastError: string;
  /** Nanoseconds. */
  processing: number;
}

export interface Served {
  readonly stats: EndpointStats;
  /** Does the NATS server deny this user the subscription? Then no request comes. */
  readonly isDenied: boolean;
  /** Calls back each time that this becomes so: one listener. */
  onDenied(listener: () => void): void;
  /** Subscribes once more, after a denial; nothing after `stop`. */
  subscribeAgain(): void;
  /** Takes no more requests; those under way are answered. */
  stop(): void;
}

/** Requests of one endpoint that may wait for their turn. */
const mostWaiting = 64;

/**
 * May this be answered? A reply goes to the subject that the request names, with the rights of this service: to a key of the locks' bucket
 * or to another service's subject (`$KV.`, `$JS.`, `zfs.`) it would be a command.
 */
export const isAnswerable = (reply: string | undefined): boolean => !/^(\$|zfs([.-]|$))/.test(reply ?? '');

/**
 * Was it published to this very subject by the one that asks? What JetStream delivers or reads out may be aimed at any subject, with the
 * server's own rights: it bears the subject that it was stored under, or names in a header the it comes from.
 */
const isAsked = (message: Pick<Msg, 'subject' | 'headers'>, subject: string): boolean =>
  !message.headers?.has('Nats-Stream') &&
  (subject.endsWith('.*')
    ? message.subject.startsWith(subject.slice(0, -1)) && !message.subject.slice(subject.length - 1).includes('.')
    : message.subject === subject);

const encode = (reply: object): string => JSON.stringify(reply);

/** Is it what was asked for, as of a dataset that is not there yet? Statistics count it as no error. */
const isAnswer = ({ code }: ZpsendError): boolean => code === 'NO_SUCH_DATASET' || code === 'NO_SUCH_SNAPSHOT';

const unasked: ErrorBody = {
  code: 'BAD_REQUEST',
  message: 'a request came out of a stream, which proves no sender; nothing was done',
  retryable: false,
};

const unanswerable = (reply = ''): ErrorBody => ({
  code: 'BAD_REQUEST',
  message: `a request asked for its reply on ${reply}, which is no inbox; nothing was done`,
  retryable: false,
});

/** Every reply names the machine that it comes from. */
const marksOf = ({ self }: Bus): MsgHdrs => markMachine(headers(), self?.machine ?? {});

function respondError(bus: Bus, message: Msg, error: ZpsendError): void {
  const body = error.toBody();
  const marks = marksOf(bus);
  marks.set('Nats-Service-Error', headline(body));
  marks.set('Nats-Service-Error-Code', statusOf(body));
  message.respond(encode({ error: body }), { headers: marks });
}

async function answer<S extends z.ZodType>(bus: Bus, endpoint: Endpoint<S>, message: Msg): Promise<void> {
  const trouble = payloadTrouble(bus);
  if (trouble) throw trouble;
  if (!endpoint.identifies) checkMeant(bus, message.headers);
  const options = { headers: marksOf(bus) };
  const replies = endpoint.handle(decodeRequest(message.data, endpoint.request, endpoint.fromText), message.subject);
  if (replies instanceof Promise) {
    const reply = await replies;
    if (reply) message.respond(encode(reply), options);
    return;
  }
  for await (const reply of replies) {
    message.respond(encode(reply), options);
    await bus.nc.flush(); // one part at a time, so that a long listing never piles up here
  }
  message.respond('', options);
}

/** Serves one subject. For any request, and anything that a handler throws, the reply is coded and the service continues. */
export function serve<S extends z.ZodType>(bus: Bus, endpoint: Endpoint<S>): Served {
  const stats: EndpointStats = {
    name: endpoint.name,
    subject: endpoint.subject,
    queue: endpoint.queue ?? '',
    requests: 0,
    errors: 0,
    lastError: '',
    processing: 0,
  };
  const limit = endpoint.atOnce === undefined ? undefined : pLimit(endpoint.atOnce);
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    if (!limit) return work();
    if (limit.pendingCount < mostWaiting) return limit(work);
    throw new ZpsendError(
      'BUSY',
      `${mostWaiting} requests on ${endpoint.subject} wait for their turn; ask again later`,
    );
  };
  const onMessage = async (message: Msg): Promise<void> => {
    const began = performance.now();
    stats.requests += 1;
    if (!isAsked(message, endpoint.subject)) {
      stats.errors += 1;
      stats.lastError = headline(unasked);
      return;
    }
    if (!isAnswerable(message.reply)) {
      stats.errors += 1;
      stats.lastError = headline(unanswerable(message.reply));
      return;
    }
    try {
      await inTurn(() => answer(bus, endpoint, message));
    } catch (thrown) {
      const error = ZpsendError.from(thrown);
      if (!isAnswer(error)) {
        stats.errors += 1;
        stats.lastError = headline(error.toBody());
      }
      respondError(bus, message, error);
    } finally {
      stats.processing += Math.round((performance.now() - began) * 1e6);
    }
  };
  let isDenied = false;
  let isStopped = false;
  let onDenied = (): void => {};
  const deny = (): void => {
    if (isDenied) return;
    isDenied = true;
    onDenied();
  };
  const subscribe = (): Subscription =>
    bus.nc.subscribe(endpoint.subject, {
      ...(endpoint.queue && { queue: endpoint.queue }),
      // an exception in here would end the client's read loop
      callback: (error, message) => {
        if (error) deny();
        else onMessage(message).catch(() => {});
      },
    });
  let subscription = subscribe();
  // a server that reloads its configuration names no queue group, and the client finds no subscription to report it to
  const forget = bus.onDenied(endpoint.subject, deny);
  return {
    stats,
    get isDenied() {
      return isDenied;
    },
    onDenied(listener) {
      onDenied = listener;
    },
    subscribeAgain() {
      if (isStopped) return;
      subscription.unsubscribe();
      isDenied = false;
      subscription = subscribe();
    },
    stop() {
      isStopped = true;
      forget();
      subscription.unsubscribe();
    },
  };
}
