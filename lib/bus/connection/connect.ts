import type { NatsConnection, NodeConnectionOptions, Status } from '@nats-io/transport-node';
import type { Machine } from '../../../schemas/machine.ts';
import { type Clock, systemClock } from '../../time/clock.ts';
import { addListener } from '../listeners.ts';
import { deliveryPrefixOf } from '../permissions.ts';
import { type Asker, connectError } from './connect-error.ts';
import { type DialOptions, dialForAnswers, type Inbox } from './dial.ts';
import { type FoundNats, findNats, type NatsPlaces } from './find-nats.ts';
import { connectionOptions, identityOf } from './options.ts';
import { leastPayload, openPayloadCheck, payloadTrouble } from './payload.ts';
import { openRefusal, type Refusal } from './refusal.ts';
import { watchConnection } from './watch-connection.ts';

/** The host name and the machine of the user of a connection. */
export interface Self {
  readonly host: string;
  readonly machine: Machine;
}

/** A connection to NATS with the settings of a service. Only lib/bus uses the client inside. */
export interface Bus {
  /** Requests to services of this host, and all replies, name this machine. */
  readonly self: Self | undefined;
  /** The clock for timeouts of requests. */
  readonly clock: Clock;
  readonly nc: NatsConnection;
  readonly options: NodeConnectionOptions;
  /** The settings of the connection, and the source of each. */
  readonly found: FoundNats;
  readonly inbox: Inbox;
  /** The prefix of the subjects to which JetStream delivers. */
  readonly deliveryPrefix: string;
  /** The server of the connection, for messages. */
  readonly server: string;
  /** The current limit of one message in bytes, with headers: `max_payload` of the server, or the limit of the account. */
  readonly maxPayload: number;
  /** Messages that are published while this is false are lost without an error. */
  readonly connected: boolean;
  /** Calls back at every loss of the connection, and when it is closed. @returns a function that unsubscribes */
  onDisconnected(listener: () => void): () => void;
  /** Calls back at every reconnect: messages in between are lost. @returns a function that unsubscribes */
  onReconnected(listener: () => void): () => void;
  /** Calls back when the server denies a subscription to exactly this subject. Such a denial is not logged. @returns a function that unsubscribes */
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

/** The listeners of denied subscriptions, by subject. */
function openDenials(): { denied(subject: string): boolean; onDenied: Bus['onDenied'] } {
  const denials = new Map<string, () => void>();
  return {
    denied(subject) {
      const listener = denials.get(subject);
      listener?.();
      return listener !== undefined;
    },
    onDenied(subject, listener) {
      denials.set(subject, listener);
      return () => void (denials.get(subject) === listener && denials.delete(subject));
    },
  };
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
  let prefix = 'still waiting for NATS: ';
  const refusal = openRefusal({
    words: (thrown) => connectError(thrown, asker()).message,
    log: (event, text) => report(event, `${prefix}${text}`),
    clock,
  });
  const shared = { ...daemonOptions(found, options), reconnectDelayHandler: () => refusal.waitMs };
  const { nc, connection, inbox } = await dialForAnswers(shared, { asker, refusal, clock }, options);
  prefix = '';
  const lost = new Set<() => void>();
  const reconnected = new Set<() => void>();
  let connected = true;
  const changed = (type: Status['type']): void => {
    if (type !== 'reconnect' && type !== 'disconnect') return;
    connected = type === 'reconnect';
    for (const listener of [...(connected ? reconnected : lost)]) listener();
  };
  // a connection that is closed for good has no status for that
  const closed = nc.closed().then((error) => {
    for (const listener of [...lost]) listener();
    return error ?? undefined;
  });
  const { denied, onDenied } = openDenials();
  void watchConnection({ nc, refusal, changed, denied, report }).catch(() => {});
  const bus: Bus = {
    self: options.self,
    clock,
    nc,
    options: connection,
    found,
    inbox,
    deliveryPrefix: deliveryPrefixOf(connection.inboxPrefix, options.host),
    get connected() {
      return connected && !nc.isClosed();
    },
    onDisconnected: (listener) => addListener(lost, listener),
    onReconnected: (listener) => addListener(reconnected, listener),
    onDenied,
    get maxPayload() {
      return nc.info?.max_payload ?? leastPayload;
    },
    get server() {
      return nc.getServer();
    },
    refusal,
    closed,
    close: (ms = 2000) => closeWithin(nc, clock, ms),
  };
  const trouble = payloadTrouble(bus);
  if (trouble && !options.wait) {
    void nc.close();
    throw trouble;
  }
  const checkPayload = openPayloadCheck(bus, report);
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
