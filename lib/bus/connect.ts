import { connect, type NatsConnection, type NodeConnectionOptions, type Status } from '@nats-io/transport-node';
import { ZpsendError } from '../../schemas/errors.ts';
import { connectionOptionsFrom } from './options.ts';

/** A connection to NATS with a service's settings. The client inside is for lib/bus alone. */
export interface Bus {
  readonly nc: NatsConnection;
  readonly options: NodeConnectionOptions;
  /** Where we are connected, for people. */
  readonly server: string;
  /** Bytes that one message may have, headers included (nats-server's `max_payload`). */
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

export interface BusOptions {
  /** Shown by `nats server report connections`. */
  name: string;
  env: NodeJS.ProcessEnv;
  /** Wait for a server that is not there yet, as a service does; a command gives up. */
  wait: boolean;
  /** Told of every connect, disconnect and error, in words for a log. */
  onStatus?: (text: string) => void;
}

/** The settings of a connection that shall outlive every failure (the client's defaults give up after ten attempts). */
export function daemonOptions(options: Pick<BusOptions, 'name' | 'env' | 'wait'>): NodeConnectionOptions {
  return {
    ...connectionOptionsFrom(options.env),
    name: options.name,
    reconnect: true,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 500,
    reconnectJitter: 250,
    waitOnFirstConnect: options.wait,
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

/** The servers of a connection without credentials, for a message. */
const serversOf = (options: NodeConnectionOptions): string =>
  String(options.servers ?? '').replaceAll(/\/\/[^@/]*@/g, '//');

/**
 * Connects to NATS as the environment says.
 * @throws ZpsendError UNREACHABLE when no server answers and the options say not to wait; UNSUPPORTED for a tiny max_payload
 */
export async function connectBus(options: BusOptions): Promise<Bus> {
  const connection = daemonOptions(options);
  const servers = serversOf(connection);
  // the client is silent while it waits for the first connection
  const reminder = setInterval(() => options.onStatus?.(`still waiting for NATS at ${servers}`), 5000);
  try {
    const nc = await connect(connection);
    const lost = new Set<() => void>();
    const again = new Set<() => void>();
    let connected = true;
    const told = (type: Status['type']): void => {
      if (type !== 'reconnect' && type !== 'disconnect') return;
      connected = type === 'reconnect';
      for (const listener of [...(connected ? again : lost)]) listener();
    };
    void watch(nc, told, options.onStatus ?? (() => {})).catch(() => {});
    return {
      nc,
      options: connection,
      get connected() {
        return connected && !nc.isClosed();
      },
      onDisconnected: (listener) => member(lost, listener),
      onReconnected: (listener) => member(again, listener),
      maxPayload: maxPayloadOf(nc),
      get server() {
        return nc.getServer();
      },
      closed: nc.closed().then((error) => error ?? undefined),
      close: (ms = 2000) => closeWithin(nc, ms),
    };
  } catch (error) {
    if (error instanceof ZpsendError) throw error;
    throw new ZpsendError(
      'UNREACHABLE',
      `no NATS server answers at ${servers}: ${error instanceof Error ? error.message : error}; ` +
        'start nats-server, or set NATS_URL (and NATS_CREDS, NATS_CA ...) as for the nats CLI',
    );
  } finally {
    clearInterval(reminder);
  }
}

/** The least that data frames and whole entries of a listing fit in, in bytes. */
const leastPayload = 64 * 1024;

function maxPayloadOf(nc: NatsConnection): number {
  const most = nc.info?.max_payload ?? leastPayload;
  if (most >= leastPayload) return most;
  void nc.close();
  throw new ZpsendError(
    'UNSUPPORTED',
    `the NATS server at ${nc.getServer()} takes messages of ${most} bytes at most, and zpsend needs ${leastPayload}: ` +
      'raise max_payload in its configuration (its default is 1 MiB)',
  );
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
