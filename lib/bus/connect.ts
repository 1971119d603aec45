import { setTimeout as sleep } from 'node:timers/promises';
import {
  connect,
  createInbox,
  type NatsConnection,
  type NodeConnectionOptions,
  type Status,
  TimeoutError,
} from '@nats-io/transport-node';
import { ZpsendError } from '../../schemas/errors.ts';
import type { Machine } from '../../schemas/machine.ts';
import { type Asker, connectError, isAnswer } from './connect-error.ts';
import { type FoundNats, findNats, type NatsPlaces } from './find-nats.ts';
import { connectionOptions, identityOf } from './options.ts';
import { leastPayload, payloadTrouble } from './payload.ts';
import { deliveriesOf, inboxPrefix } from './permissions.ts';

/** The host name and the machine of whoever uses a connection. */
export interface Self {
  readonly host: string;
  readonly machine: Machine;
}

/** A connection to NATS with a service's settings. The client inside is for lib/bus alone. */
export interface Bus {
  /** Requests to this host's own services name this machine, and replies tell it. */
  readonly self: Self | undefined;
  readonly nc: NatsConnection;
  readonly options: NodeConnectionOptions;
  /** What the connection was made with, and where that is said. */
  readonly found: FoundNats;
  /** May answers come? `own`: on an inbox prefix that was tried, since the server refuses the usual one. */
  readonly inbox: 'usual' | 'own' | 'refused';
  /** Where JetStream delivers to us: a prefix of subjects. */
  readonly deliveries: string;
  /** Where we are connected, for people. */
  readonly server: string;
  /** Bytes that one message may have now, headers included: `max_payload` of the server connected to, or the limit of the account. */
  readonly maxPayload: number;
  /** What is published while this is false is lost without an error. */
  readonly connected: boolean;
  /** Tells of every loss of the connection. The function returned ends it. */
  onDisconnected(listener: () => void): () => void;
  /** Tells of every connection after the first: what was said in between was not heard. The function returned ends it. */
  onReconnected(listener: () => void): () => void;
  /** Resolves when the connection has ended for good, with the reason if it was an error. */
  readonly closed: Promise<Error | undefined>;
  /** Sends what is pending and closes; gives up after `ms` milliseconds. */
  close(ms?: number): Promise<void>;
}

export interface BusOptions extends NatsPlaces {
  /** Shown by `nats server report connections`. */
  name: string;
  /** This host: where its user may not have answers in `_INBOX.>`, `_INBOX.<host>.>` is tried. */
  host?: string;
  /** Without, requests to any host are answered by whichever machine has that name. */
  self?: Self | undefined;
  /** Wait for a server that is not there yet, as a service does; a command gives up. */
  wait: boolean;
  /** Ends the waiting. */
  signal?: AbortSignal;
  /** Told of every connect, disconnect and error, in words for a log. */
  onStatus?: (text: string) => void;
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

const words: Partial<Record<Status['type'], string>> = {
  disconnect: 'lost the connection to NATS, reconnecting',
  reconnect: 'connected to NATS again',
  ldm: 'the NATS server is about to stop (lame duck); what is under way goes on elsewhere once it has',
  staleConnection: 'the connection to NATS went stale',
};

/** Follows the connection's fate until it is closed. */
async function watch(
  nc: NatsConnection,
  told: (type: Status['type']) => void,
  say: (text: string) => void,
): Promise<void> {
  for await (const status of nc.status()) {
    told(status.type);
    if (status.type === 'error') say(`NATS says: ${status.error.message}`);
    else {
      const text = words[status.type];
      if (text) say(text);
    }
  }
}

function member<T>(set: Set<T>, one: T): () => void {
  set.add(one);
  return () => void set.delete(one);
}

/** Between two attempts of a service to connect, in milliseconds; what keeps it from that is said again after as long as that. */
const [attemptMs, reminderMs] = [750, 60_000];
/** How long a server has to tell why it refuses us, in milliseconds. */
const probeMs = 2000;

/**
 * Connects, or says why not. A service tries until it can.
 * @throws ZpsendError UNREACHABLE, or NOT_ALLOWED where a server refuses us
 */
async function dial(connection: NodeConnectionOptions, asker: Asker, options: BusOptions): Promise<NatsConnection> {
  let [said, saidAt] = ['', 0];
  for (;;) {
    const error = await connect({ ...connection, waitOnFirstConnect: false }).catch(async (thrown) =>
      connectError(await mostTelling(thrown, connection), asker),
    );
    if (!(error instanceof ZpsendError)) return error;
    if (!options.wait) throw error;
    if (error.message !== said || Date.now() - saidAt > reminderMs) {
      [said, saidAt] = [error.message, Date.now()];
      options.onStatus?.(`still waiting for NATS: ${said}`);
    }
    await sleep(attemptMs, undefined, options.signal && { signal: options.signal });
  }
}

/**
 * Of several servers the client tells of the last one: one that answers, and refuses us, says more than one that is down. And of a
 * server that hangs up after TLS, since it wants a certificate, a client that would come back only tells that time went by.
 */
async function mostTelling(thrown: unknown, connection: NodeConnectionOptions): Promise<unknown> {
  const servers = [connection.servers ?? []].flat();
  if (isAnswer(thrown) || (servers.length < 2 && !(thrown instanceof TimeoutError))) return thrown;
  const single = { ...connection, reconnect: false, waitOnFirstConnect: false, timeout: probeMs };
  const others = await Promise.all(
    servers.map((one) =>
      connect({ ...single, servers: one }).then(
        (nc) => nc.close().then(() => undefined),
        (error: unknown) => error,
      ),
    ),
  );
  return others.find(isAnswer) ?? thrown;
}

/** May this user have answers where the client wants them? The server refuses before it answers the flush. */
async function mayHearAnswers(nc: NatsConnection, prefix: string | undefined): Promise<boolean> {
  let may = true;
  const inbox = nc.subscribe(createInbox(prefix), {
    callback: (error) => {
      if (error) may = false;
    },
  });
  // a connection that is lost just now proves nothing
  await nc.flush().catch(() => {});
  inbox.unsubscribe();
  return may;
}

interface Dialled {
  readonly nc: NatsConnection;
  readonly connection: NodeConnectionOptions;
  readonly inbox: Bus['inbox'];
}

/** Connects with an inbox prefix that this user may use: the one that is set, the usual one, or that of this host. */
async function dialForAnswers(connection: NodeConnectionOptions, asker: Asker, options: BusOptions): Promise<Dialled> {
  const nc = await dial(connection, asker, options);
  if (await mayHearAnswers(nc, connection.inboxPrefix)) return { nc, connection, inbox: 'usual' };
  if (connection.inboxPrefix !== undefined || options.host === undefined) return { nc, connection, inbox: 'refused' };
  const own = { ...connection, inboxPrefix: inboxPrefix(options.host) };
  const again = await dial(own, asker, options);
  const isHeard = await mayHearAnswers(again, own.inboxPrefix);
  await (isHeard ? nc : again).close();
  return isHeard ? { nc: again, connection: own, inbox: 'own' } : { nc, connection, inbox: 'refused' };
}

/**
 * Connects to NATS as the environment and the configuration say.
 * @throws ZpsendError UNREACHABLE when no server answers and the options say not to wait, NOT_ALLOWED when one refuses us;
 * BAD_REQUEST for settings that cannot be; UNSUPPORTED for a tiny max_payload
 */
export async function connectBus(options: BusOptions): Promise<Bus> {
  const found = findNats(options);
  const asker = { servers: found.settings.url ?? '', identity: identityOf(found.settings), unused: found.unused };
  const { nc, connection, inbox } = await dialForAnswers(daemonOptions(found, options), asker, options);
  const lost = new Set<() => void>();
  const again = new Set<() => void>();
  let connected = true;
  const told = (type: Status['type']): void => {
    if (type !== 'reconnect' && type !== 'disconnect') return;
    connected = type === 'reconnect';
    for (const listener of [...(connected ? again : lost)]) listener();
  };
  const say = options.onStatus ?? (() => {});
  void watch(nc, told, say).catch(() => {});
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
    get maxPayload() {
      return nc.info?.max_payload ?? leastPayload;
    },
    get server() {
      return nc.getServer();
    },
    closed: nc.closed().then((error) => error ?? undefined),
    close: (ms = 2000) => closeWithin(nc, ms),
  };
  const trouble = payloadTrouble(bus);
  if (trouble) {
    void nc.close();
    throw trouble;
  }
  bus.onReconnected(payloadWatch(bus, say));
  return bus;
}

/** Says once that the limit is too small, and once that it is not any more. */
function payloadWatch(bus: Bus, say: (text: string) => void): () => void {
  let isSmall = false;
  return () => {
    const trouble = payloadTrouble(bus);
    if (trouble && !isSmall) say(`${trouble.message}; requests are answered with that until then`);
    if (!trouble && isSmall) say(`the NATS server takes messages of ${bus.maxPayload} bytes now`);
    isSmall = trouble !== undefined;
  };
}

/** drain() has no time limit of its own and never ends while disconnected. */
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
