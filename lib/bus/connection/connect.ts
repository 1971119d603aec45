import {
  type NatsConnection,
  type NodeConnectionOptions,
  PermissionViolationError,
  type Status,
} from '@nats-io/transport-node';
import type { Machine } from '../../../schemas/machine.ts';
import { type Clock, systemClock } from '../../time/clock.ts';
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

/** A connection to NATS with the settings of a service. Only lib/bus uses the client inside. */
export interface Bus {
  /** Requests to services of this host, and all replies, name this machine. */
  readonly self: Self | undefined;
  /** The time of its requests. */
  readonly clock: Clock;
  readonly nc: NatsConnection;
  readonly options: NodeConnectionOptions;
  /** The settings of the connection, and the source of each. */
  readonly found: FoundNats;
  readonly inbox: Inbox;
  /** The prefix of the subjects to which JetStream delivers. */
  readonly deliveries: string;
  /** The server of the connection, for messages. */
  readonly server: string;
  /** The current limit of one message in bytes, with headers: `max_payload` of the server, or the limit of the account. */
  readonly maxPayload: number;
  /** Messages that are published while this is false are lost without an error. */
  readonly connected: boolean;
  /** Calls back at every loss of the connection. @returns a function that unsubscribes */
  onDisconnected(listener: () => void): () => void;
  /** Calls back at every reconnect: messages in between are lost. @returns a function that unsubscribes */
  onReconnected(listener: () => void): () => void;
  /** Calls back when the server denies a subscription to exactly this subject; then it is not logged. @returns a function that unsubscribes */
  onDenied(subject: string, listener: () => void): () => void;
  /** The refusals of all connections of this process that use the same options. */
  readonly refusal: Refusal;
  /** Resolves when the connection is closed and does not reconnect, with the error if there was one. */
  readonly closed: Promise<Error | undefined>;
  /** Sends pending messages and closes; gives up after `ms` milliseconds. */
  close(ms?: number): Promise<void>;
}

export interface BusOptions extends NatsPlaces, DialOptions {
  /** Shown by `nats server report connections`. */
  name: string;
  /** Without it, any machine with the name of a host may answer requests to that host. */
  self?: Self | undefined;
  clock?: Clock;
}

/** The settings of a connection that survives every failure (by default the client gives up after ten attempts). */
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
  ldm: ['nats.stopping', 'the NATS server is about to stop (lame duck); running work continues on another server'],
  staleConnection: ['nats.lost', 'the connection to NATS is stale'],
};

interface Watching {
  readonly nc: NatsConnection;
  readonly refusal: Refusal;
  changed(type: Status['type']): void;
  /** @returns whether the subject has a listener */
  denied(subject: string): boolean;
  report(event: NatsEvent, text: string): void;
}

/** The subject of a denied subscription; undefined for any other status. */
const deniedSubject = (status: Status): string | undefined =>
  status.type === 'error' &&
  status.error instanceof PermissionViolationError &&
  status.error.operation === 'subscription'
    ? status.error.subject
    : undefined;

/** Logs the states of the connection until it is closed: once for each loss, and for each new error of its reconnects. `refusal` logs refusals. */
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
 * Connects to NATS with the settings of the environment and the configuration.
 * @throws ZpsendError UNREACHABLE if no server answers and the options do not wait; NOT_ALLOWED if a server refuses this identity;
 * BAD_REQUEST for invalid settings; UNSUPPORTED for a max_payload that is too small, unless the options wait
 */
export async function connectBus(options: BusOptions): Promise<Bus> {
  const { clock = systemClock } = options;
  const found = findNats(options);
  const report = options.onStatus ?? (() => {});
  const asker = askerOf(found);
  let waiting = 'still waiting for NATS: ';
  const refusal = openRefusal({
    words: (thrown) => connectError(thrown, asker()).message,
    log: (event, text) => report(event, `${waiting}${text}`),
    clock,
  });
  const shared = { ...daemonOptions(found, options), reconnectDelayHandler: () => refusal.waitMs };
  const { nc, connection, inbox } = await dialForAnswers(shared, { asker, refusal, clock }, options);
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
    clock,
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
    close: (ms = 2000) => closeWithin(nc, clock, ms),
  };
  const trouble = payloadTrouble(bus);
  if (trouble && !options.wait) {
    void nc.close();
    throw trouble;
  }
  const checkPayload = payloadWatch(bus, report);
  checkPayload();
  bus.onReconnected(checkPayload);
  return bus;
}

/** Who connects, for messages. Credential files are read again; if that fails, the last identity stays. */
function askerOf(found: FoundNats): () => Asker {
  let identity = identityOf(found.settings);
  return () => {
    try {
      identity = identityOf(found.settings);
    } catch {
      // the last identity may still work
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
      report('nats.payload-too-small', `${trouble.message}; until then, requests are answered with this error`);
    if (!trouble && isSmall)
      report('nats.payload-restored', `the NATS server accepts messages of ${bus.maxPayload} bytes again`);
    isSmall = trouble !== undefined;
  };
}

/** drain() has no time limit and never ends while disconnected. */
async function closeWithin(nc: NatsConnection, clock: Clock, ms: number): Promise<void> {
  if (nc.isClosed()) return;
  const cancel = clock.after(ms, () => void nc.close());
  try {
    await Promise.race([nc.drain(), nc.closed()]);
  } catch {
    await nc.close();
  } finally {
    cancel();
  }
}
