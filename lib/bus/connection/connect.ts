import {
  type NatsConnection,
  type NodeConnectionOptions,
  PermissionViolationError,
  type Status,
} from '@nats-io/transport-node';
import type { Machine } from '../../../schemas/machine.ts';
import { deliveriesOf } from '../permissions.ts';
import { type Asker, connectError, isRefused } from './connect-error.ts';
import { type DialOptions, dialForAnswers, type Inbox, type NatsEvent } from './dial.ts';
import { type FoundNats, findNats, type NatsPlaces } from './find-nats.ts';
import { connectionOptions, identityOf } from './options.ts';
import { leastPayload, payloadTrouble } from './payload.ts';
import { noteStatus, openRefusal, type Refusal } from './refusal.ts';

/** The host name and the machine of the user of a connection. */
export interface Self {
  readonly host: string;
  readonly machine: Machine;
}

/** A connection to NATS with a service's settings. The client inside is for lib/bus alone. */
export interface Bus {
  /** Requests to this host's own services name this machine, and replies too. */
  readonly self: Self | undefined;
  readonly nc: NatsConnection;
  readonly options: NodeConnectionOptions;
  /** What the connection was made with, and where that is set. */
  readonly found: FoundNats;
  readonly inbox: Inbox;
  /** Where JetStream delivers to us: a prefix of subjects. */
  readonly deliveries: string;
  /** Where we are connected, for people. */
  readonly server: string;
  /** Bytes that one message may have now, headers included: `max_payload` of the server connected to, or the limit of the account. */
  readonly maxPayload: number;
  /** What is published while this is false is lost without an error. */
  readonly connected: boolean;
  /** Calls back at every loss of the connection. The function returned ends it. */
  onDisconnected(listener: () => void): () => void;
  /** Calls back at every connection after the first: messages in between are lost. The function returned ends it. */
  onReconnected(listener: () => void): () => void;
  /** Calls back when the server denies this user a subscription to that very subject, which is no line of the log then. The function returned ends it. */
  onDenied(subject: string, listener: () => void): () => void;
  /** What all connections of this process with its options learn of being refused. */
  readonly refusal: Refusal;
  /** Resolves when the connection has ended for good, with the reason if it was an error. */
  readonly closed: Promise<Error | undefined>;
  /** Sends what is pending and closes; gives up after `ms` milliseconds. */
  close(ms?: number): Promise<void>;
}

export interface BusOptions extends NatsPlaces, DialOptions {
  /** Shown by `nats server report connections`. */
  name: string;
  /** Without, requests to any host are answered by whichever machine has that name. */
  self?: Self | undefined;
  /** The monotonic clock, in milliseconds, by which a refusal of our credentials gets old. */
  now?: () => number;
}

/** The settings of a connection that shall outlive every failure (the client's defaults give up after ten attempts). */
export function daemonOptions(
  found: FoundNats,
  { name, wait }: Pick<BusOptions, 'name' | 'wait'>,
): NodeConnectionOptions {
  return {
    ...connectionOptions(found.settings),
    name,
    reconnect: true,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 500,
    reconnectJitter: 250,
    waitOnFirstConnect: wait,
    ignoreAuthErrorAbort: true,
    pingInterval: 10_000,
    maxPingOut: 2,
    timeout: 5000,
    noAsyncTraces: true,
  };
}

const words: Partial<Record<Status['type'], readonly [NatsEvent, string]>> = {
  disconnect: ['nats.lost', 'lost the connection to NATS, reconnecting'],
  reconnect: ['nats.connected', 'connected to NATS again'],
  ldm: [
    'nats.stopping',
    'the NATS server is about to stop (lame duck); what is under way goes on elsewhere once it has',
  ],
  staleConnection: ['nats.lost', 'the connection to NATS went stale'],
};

interface Watching {
  readonly nc: NatsConnection;
  readonly refusal: Refusal;
  changed(type: Status['type']): void;
  /** @returns whether that subject has a listener */
  denied(subject: string): boolean;
  report(event: NatsEvent, text: string): void;
}

/** The subject of a subscription that the server denies. */
const deniedSubject = (status: Status): string | undefined =>
  status.type === 'error' &&
  status.error instanceof PermissionViolationError &&
  status.error.operation === 'subscription'
    ? status.error.subject
    : undefined;

/** Follows the connection's fate until it is closed. A refusal is logged by `refusal`, each loss once, and what each try to connect again meets too. */
async function watch({ nc, refusal, changed, denied, report }: Watching): Promise<void> {
  let isLost = false;
  let met = '';
  for await (const status of nc.status()) {
    noteStatus(status, refusal);
    changed(status.type);
    const subject = deniedSubject(status);
    if (subject !== undefined && denied(subject)) continue;
    const again = status.type === 'disconnect' && isLost;
    if (status.type === 'disconnect') isLost = true;
    if (status.type === 'reconnect') [isLost, met] = [false, ''];
    if (status.type === 'error' && !isRefused(status.error)) {
      const { message } = status.error;
      if (message !== met) report('nats.error', `NATS reports: ${message}`);
      if (isLost) met = message;
    }
    const text = words[status.type];
    if (text && !again) report(...text);
  }
}

function member<T>(set: Set<T>, one: T): () => void {
  set.add(one);
  return () => void set.delete(one);
}

/**
 * Connects to NATS by the environment and the configuration.
 * @throws ZpsendError UNREACHABLE when no server answers and the options do not wait, NOT_ALLOWED when one refuses us;
 * BAD_REQUEST for settings that cannot be; UNSUPPORTED for a tiny max_payload, which a service outlasts
 */
export async function connectBus(options: BusOptions): Promise<Bus> {
  const found = findNats(options);
  const report = options.onStatus ?? (() => {});
  const asker = askerOf(found);
  let waiting = 'still waiting for NATS: ';
  const refusal = openRefusal({
    words: (thrown) => connectError(thrown, asker()).message,
    say: (event, text) => report(event, `${waiting}${text}`),
    ...(options.now && { now: options.now }),
  });
  const shared = { ...daemonOptions(found, options), reconnectDelayHandler: () => refusal.waitMs };
  const { nc, connection, inbox } = await dialForAnswers(shared, { asker, refusal }, options);
  waiting = '';
  const lost = new Set<() => void>();
  const again = new Set<() => void>();
  let connected = true;
  const changed = (type: Status['type']): void => {
    if (type !== 'reconnect' && type !== 'disconnect') return;
    connected = type === 'reconnect';
    for (const listener of [...(connected ? again : lost)]) listener();
  };
  const denials = new Map<string, () => void>();
  const denied = (subject: string): boolean => {
    const listener = denials.get(subject);
    listener?.();
    return listener !== undefined;
  };
  void watch({ nc, refusal, changed, denied, report }).catch(() => {});
  const bus: Bus = {
    self: options.self,
    nc,
    options: connection,
    found,
    inbox,
    deliveries: deliveriesOf(connection.inboxPrefix, options.host),
    get connected() {
      return connected && !nc.isClosed();
    },
    onDisconnected: (listener) => member(lost, listener),
    onReconnected: (listener) => member(again, listener),
    onDenied(subject, listener) {
      denials.set(subject, listener);
      return () => void (denials.get(subject) === listener && denials.delete(subject));
    },
    get maxPayload() {
      return nc.info?.max_payload ?? leastPayload;
    },
    get server() {
      return nc.getServer();
    },
    refusal,
    closed: nc.closed().then((error) => error ?? undefined),
    close: (ms = 2000) => closeWithin(nc, ms),
  };
  const trouble = payloadTrouble(bus);
  if (trouble && !options.wait) {
    void nc.close();
    throw trouble;
  }
  const lookAtPayload = payloadWatch(bus, report);
  lookAtPayload();
  bus.onReconnected(lookAtPayload);
  return bus;
}

/** Who asks, for messages: a file of credentials that was renewed counts, and one that cannot be read is what it was. */
function askerOf(found: FoundNats): () => Asker {
  let identity = identityOf(found.settings);
  return () => {
    try {
      identity = identityOf(found.settings);
    } catch {
      // the last one may do
    }
    return { servers: found.settings.url ?? '', identity, unused: found.unused };
  };
}

/** Reports once that the limit is too small, and once that it is large enough again. */
function payloadWatch(bus: Bus, report: (event: NatsEvent, text: string) => void): () => void {
  let isSmall = false;
  return () => {
    const trouble = payloadTrouble(bus);
    if (trouble && !isSmall)
      report('nats.payload-too-small', `${trouble.message}; requests are answered with that until then`);
    if (!trouble && isSmall)
      report('nats.payload-restored', `the NATS server takes messages of ${bus.maxPayload} bytes now`);
    isSmall = trouble !== undefined;
  };
}

/** drain() has no time limit and never ends while disconnected. */
async function closeWithin(nc: NatsConnection, ms: number): Promise<void> {
  if (nc.isClosed()) return;
  const timer = setTimeout(() => void nc.close(), ms);
  try {
    await Promise.race([nc.drain(), nc.closed()]);
  } catch {
    await nc.close();
  } finally {
    clearTimeout(timer);
  }
}
