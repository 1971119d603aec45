import {
  errors,
  type Msg,
  type NatsConnection,
  NatsConnectionImpl,
  type NodeConnectionOptions,
  type Subscription,
  setTransportFactory,
} from '@nats-io/transport-node';
import { nodeResolveHost } from '@nats-io/transport-node/lib/node_transport.js';
import { noteStatus, type Refusal } from '../connection/refusal.ts';
import { isPublishedTo, openInbox } from '../rpc/inbox.ts';
import type { RawSubscription } from './protocol-splitter.ts';
import { type DataConnectionOptions, DataTransport } from './transport.ts';

/** The connection of a service that carries its data, separate from control. All transfers of the service share it. */
export interface DataConnection {
  /** For requests, whose answers are small. */
  readonly nc: NatsConnection;
  readonly connected: boolean;
  /** Bytes that one message may have, headers included. */
  readonly maxPayload: number;
  /** Unwritten bytes hold so much of the reader's memory that they should be copied out of it. */
  readonly underPressure: boolean;
  /** Writes whole protocol messages, uncopied; `flushed` is called once they are written or lost. False when not connected. */
  write(parts: readonly Buffer[], flushed: () => void): boolean;
  /** Publishes a small message. Lost while not connected. */
  say(subject: string, text: string): void;
  /** Hears small messages that were published to this very subject. The function returned ends it. */
  hear(subject: string, heard: (text: string, code: number) => void, refused: (error: Error) => void): () => void;
  /** A new subject, for answers. */
  inbox(): string;
  /** Subscribes and takes the messages as they come off the socket. The function returned ends it. */
  claim(claim: RawSubscription, refused: (error: Error) => void): () => void;
  /** Calls back at every loss of the connection; what was under way is lost then. The function returned ends it. */
  onDisconnected(listener: () => void): () => void;
  /** Calls back when the server does not allow publishing to a subject. The function returned ends it. */
  onRefused(listener: (subject: string, error: Error) => void): () => void;
  /** Resolves when the connection has ended for good, with the reason if it was an error. */
  readonly closed: Promise<Error | undefined>;
  close(): Promise<void>;
}

/** Of nats-server, in bytes; for a closed connection. */
const defaultPayload = 1024 * 1024;

/** The client asks this factory for every dial of every connection in the process; unmarked ones get their usual transport. */
const useDataTransport = (): void =>
  setTransportFactory({ factory: () => new DataTransport(), dnsResolveFn: nodeResolveHost });

/**
 * Opens a data connection with the options that `connect` of transport-node takes; it reconnects by them.
 * @param refusal learns when it is refused
 * @throws what `connect` throws
 */
export async function openDataConnection(options: NodeConnectionOptions, refusal?: Refusal): Promise<DataConnection> {
  const marked: DataConnectionOptions = { ...options, dataConnection: true };
  useDataTransport();
  const nc = await connectMarked(marked);
  const disconnected = new Set<() => void>();
  const refusals = new Set<(subject: string, error: Error) => void>();

  const transport = (): DataTransport | undefined => {
    const current = nc.isClosed() ? undefined : nc.protocol.transport;
    return current instanceof DataTransport && nc.protocol.connected && !current.isClosed ? current : undefined;
  };

  /** Another connect() in this process may have set the client's own factory between our call and the dial: dial again. */
  async function adopt(): Promise<void> {
    if (nc.isClosed() || nc.protocol.transport instanceof DataTransport) return;
    useDataTransport();
    await nc.reconnect();
  }

  async function watch(): Promise<void> {
    for await (const status of nc.status()) {
      if (refusal) noteStatus(status, refusal);
      if (status.type === 'disconnect') for (const listener of [...disconnected]) listener();
      else if (status.type === 'reconnect') await adopt();
      else if (status.type === 'error' && status.error instanceof errors.PermissionViolationError) {
        const { operation, subject } = status.error;
        if (operation === 'publish') for (const listener of [...refusals]) listener(subject, status.error);
      }
    }
    for (const listener of [...disconnected]) listener();
  }
  void watch().catch(() => {});
  await adopt();

  return {
    // its class differs from its interface in that it has no `info` before the first connect
    nc: nc as NatsConnection,
    inbox: () => openInbox(nc.options.inboxPrefix),
    get connected() {
      return transport() !== undefined;
    },
    get maxPayload() {
      return nc.info?.max_payload ?? defaultPayload;
    },
    get underPressure() {
      return transport()?.underPressure ?? false;
    },
    write(parts, flushed) {
      const current = transport();
      current?.write(parts, flushed);
      return current !== undefined;
    },
    say: (subject, text) => say(nc, subject, text),
    hear: (subject, heard, refused) => end(nc.subscribe(subject, { callback: listening(subject, heard, refused) })),
    claim: (claim, refused) => subscribeRaw(nc, transport(), claim, refused),
    onDisconnected: (listener) => member(disconnected, listener),
    onRefused: (listener) => member(refusals, listener),
    closed: nc.closed().then((error) => error ?? undefined),
    close: () => nc.close(),
  };
}

async function connectMarked(options: DataConnectionOptions): Promise<NatsConnectionImpl> {
  // the client's options know no TLS of Node's; connect() of transport-node passes them on just so
  const nc = await NatsConnectionImpl.connect(options as Parameters<typeof NatsConnectionImpl.connect>[0]);
  if (nc instanceof NatsConnectionImpl) return nc;
  throw new TypeError('the NATS client answered with a connection of an unknown kind');
}

function say(nc: NatsConnectionImpl, subject: string, text: string): void {
  if (!nc.isClosed()) nc.publish(subject, text);
}

function subscribeRaw(
  nc: NatsConnectionImpl,
  transport: DataTransport | undefined,
  claim: RawSubscription,
  refused: (error: Error) => void,
): () => void {
  const subscription = nc.subscribe(claim.subject, {
    // a message with headers is no frame, and is left to the client's parser
    callback: contained((error, message) => {
      if (error) refused(error);
      else claim.unexpected(message.subject, message);
    }, refused),
  });
  transport?.splitter.claims.set(subscription.getID(), claim);
  return () => {
    transport?.splitter.claims.delete(subscription.getID());
    subscription.unsubscribe();
  };
}

type Callback = (error: Error | null, message: Msg) => void;

/** An exception inside a callback would end the client's read loop for good. */
const contained =
  (callback: Callback, refused: (error: Error) => void): Callback =>
  (error, message) => {
    try {
      callback(error, message);
    } catch (thrown) {
      refused(thrown instanceof Error ? thrown : new Error(String(thrown)));
    }
  };

const listening = (
  subject: string,
  heard: (text: string, code: number) => void,
  refused: (error: Error) => void,
): Callback =>
  contained((error, message) => {
    if (error) refused(error);
    else if (isPublishedTo(message, subject)) heard(message.string(), message.headers?.code ?? 0);
  }, refused);

const end = (subscription: Subscription) => (): void => subscription.unsubscribe();

function member<Listener>(set: Set<Listener>, listener: Listener): () => void {
  set.add(listener);
  return () => void set.delete(listener);
}
