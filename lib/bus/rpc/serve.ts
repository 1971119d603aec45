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
  /** The limit of concurrent requests, if each starts processes; others are queued, and too many are answered BUSY. */
  atOnce?: number;
  /** Answers requests for any machine: its answer names this one. */
  identifies?: boolean;
  request: S;
  /** Converts a plain-text body to a request. */
  fromText?: (text: string) => unknown;
  /** One reply, or several, ended by an empty message. An endpoint without an answer resolves to undefined. */
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
  /** Does the NATS server deny the subscription? Then no requests arrive. */
  readonly isDenied: boolean;
  /** Calls back at each denial: one listener. */
  onDenied(listener: () => void): void;
  /** Subscribes again after a denial; does nothing after `stop`. */
  subscribeAgain(): void;
  /** Accepts no more requests; running ones are answered. */
  stop(): void;
}

/** The limit of queued requests of one endpoint. */
const maxQueued = 64;

/**
 * May this request be answered? A reply goes to the subject that the request names, with the permissions of this service: to a key of the
 * locks bucket or another service's subject (`$KV.`, `$JS.`, `zfs.`) it would be a command.
 */
export const isAnswerable = (reply: string | undefined): boolean => !/^(\$|zfs([.-]|$))/.test(reply ?? '');

/**
 * Did the asker publish the message to exactly this subject? JetStream can deliver a stored message to any subject, with the server's
 * permissions: such a message keeps its stored subject, or names its stream in a header.
 */
const isAsked = (message: Pick<Msg, 'subject' | 'headers'>, subject: string): boolean =>
  !message.headers?.has('Nats-Stream') &&
  (subject.endsWith('.*')
    ? message.subject.startsWith(subject.slice(0, -1)) && !message.subject.slice(subject.length - 1).includes('.')
    : message.subject === subject);

const encode = (reply: object): string => JSON.stringify(reply);

/** Is the error an answer, for example for a dataset that does not exist yet? Statistics do not count it as an error. */
const isAnswer = ({ code }: ZpsendError): boolean => code === 'NO_SUCH_DATASET' || code === 'NO_SUCH_SNAPSHOT';

const fromStream: ErrorBody = {
  code: 'BAD_REQUEST',
  message: 'JetStream delivered a request from a stream, so its sender is unknown; nothing was done',
  retryable: false,
};

const unanswerable = (reply = ''): ErrorBody => ({
  code: 'BAD_REQUEST',
  message: `the reply subject ${reply} of a request is not an inbox; nothing was done`,
  retryable: false,
});

/** Every reply names this machine. */
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
    await bus.nc.flush(); // one part at a time, so that a long listing does not fill the memory
  }
  message.respond('', options);
}

/** Answers the requests of an endpoint, and counts them. */
function requestHandler<S extends z.ZodType>(
  bus: Bus,
  endpoint: Endpoint<S>,
  stats: EndpointStats,
): (message: Msg) => Promise<void> {
  const { clock } = bus;
  const limit = endpoint.atOnce === undefined ? undefined : pLimit(endpoint.atOnce);
  const queued = (work: () => Promise<void>): Promise<void> => {
    if (!limit) return work();
    if (limit.pendingCount < maxQueued) return limit(work);
    throw new ZpsendError('BUSY', `${maxQueued} requests on ${endpoint.subject} are queued; try again later`);
  };
  const countError = (error: ErrorBody): void => {
    stats.errors += 1;
    stats.lastError = headline(error);
  };
  return async (message) => {
    const began = clock.now();
    stats.requests += 1;
    if (!isAsked(message, endpoint.subject)) return countError(fromStream);
    if (!isAnswerable(message.reply)) return countError(unanswerable(message.reply));
    try {
      await queued(() => answer(bus, endpoint, message));
    } catch (thrown) {
      const error = ZpsendError.from(thrown);
      if (!isAnswer(error)) countError(error.toBody());
      respondError(bus, message, error);
    } finally {
      stats.processing += Math.round((clock.now() - began) * 1e6);
    }
  };
}

/** Serves one subject. Anything that a handler throws becomes a coded reply, and the service continues. */
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
  const onMessage = requestHandler(bus, endpoint, stats);
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
      // an exception here would end the client's read loop
      callback: (error, message) => {
        if (error) deny();
        else onMessage(message).catch(() => {});
      },
    });
  let subscription = subscribe();
  // after a reload of its configuration, the server's denial names no queue group, so the client finds no subscription for it
  const unsubscribeDenials = bus.onDenied(endpoint.subject, deny);
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
      unsubscribeDenials();
      subscription.unsubscribe();
    },
  };
}
