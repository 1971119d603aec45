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
import { addListener } from '../listeners.ts';
import { isPublishedTo, openInbox } from '../rpc/inbox.ts';
import type { RawSubscription } from './protocol-splitter.ts';
import { type DataConnectionOptions, DataTransport } from './transport.ts';

/** The connection of a service that carries its data, separate from control. All transfers of the service share it. */
export interface DataConnection {
  /** For requests, whose answers are small. */
  readonly nc: NatsConnection;
  readonly connected: boolean;
  /** The current limit of one message in bytes, headers included. */
  readonly maxPayload: number;
  /** Retained pool buffers hold so much memory that their holders should copy what they keep. */
  readonly underPressure: boolean;
  /** Writes whole protocol messages without a copy; calls `flushed` once they are written or lost. @returns false if not connected */
  write(parts: readonly Buffer[], flushed: () => void): boolean;
  /** Publishes a small message, which is lost while not connected. */
  publish(subject: string, text: string): void;
  /** Subscribes to small messages that are published to exactly this subject. @returns a function that unsubscribes */
  subscribe(
    subject: string,
    received: (text: string, code: number) => void,
    refused: (error: Error) => void,
  ): () => void;
  /** A new subject for answers. */
  inbox(): string;
  /** Subscribes to messages as they arrive, without a copy. @returns a function that unsubscribes */
  subscribeRaw(raw: RawSubscription, refused: (error: Error) => void): () => void;
  /** Calls back at every loss of the connection, which loses unwritten and unread messages. @returns a function that unsubscribes */
  onDisconnected(listener: () => void): () => void;
  /** Calls back when the server denies publishing to a subject. @returns a function that unsubscribes */
  onRefused(listener: (subject: string, error: Error) => void): () => void;
  /** Resolves when the connection is closed and does not reconnect, with the error if there was one. */
  readonly closed: Promise<Error | undefined>;
  close(): Promise<void>;
}

/** The default `max_payload` of nats-server, in bytes; used if that of the server is unknown. */
const defaultPayload = 1024 * 1024;

/** The client uses one factory for every dial of every connection in the process. Unmarked connections get the client's own transport. */
const useDataTransport = (): void =>
  setTransportFactory({ factory: () => new DataTransport(), dnsResolveFn: nodeResolveHost });

/**
 * Opens a data connection with the options that `connect` of transport-node takes; it reconnects by them.
 * @param refusal records when the server refuses the connection
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

  /** Dials again if another connect() of this process set the client's own factory between our call and the dial. */
  async function ensureDataTransport(): Promise<void> {
    if (nc.isClosed() || nc.protocol.transport instanceof DataTransport) return;
    useDataTransport();
    await nc.reconnect();
  }

  async function watch(): Promise<void> {
    for await (const status of nc.status()) {
      if (refusal) noteStatus(status, refusal);
      if (status.type === 'disconnect') for (const listener of [...disconnected]) listener();
      else if (status.type === 'reconnect') await ensureDataTransport();
      else if (status.type === 'error' && status.error instanceof errors.PermissionViolationError) {
        const { operation, subject } = status.error;
        if (operation === 'publish') for (const listener of [...refusals]) listener(subject, status.error);
      }
    }
    for (const listener of [...disconnected]) listener();
  }
  void watch().catch(() => {});
  await ensureDataTransport();

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
    publish: (subject, text) => publish(nc, subject, text),
    subscribe: (subject, received, refused) =>
      unsubscriber(nc.subscribe(subject, { callback: callbackFor(subject, received, refused) })),
    subscribeRaw: (raw, refused) => subscribeRaw(nc, transport(), raw, refused),
    onDisconnected: (listener) => addListener(disconnected, listener),
    onRefused: (listener) => addListener(refusals, listener),
    closed: nc.closed().then((error) => error ?? undefined),
    close: () => nc.close(),
  };
}

async function connectMarked(options: DataConnectionOptions): Promise<NatsConnectionImpl> {
  // the type of these options lacks Node's TLS options; connect() of transport-node casts in the same way
  const nc = await NatsConnectionImpl.connect(options as Parameters<typeof NatsConnectionImpl.connect>[0]);
  if (nc instanceof NatsConnectionImpl) return nc;
  throw new TypeError('the NATS client answered with a connection of an unknown kind');
}

function publish(nc: NatsConnectionImpl, subject: string, text: string): void {
  if (!nc.isClosed()) nc.publish(subject, text);
}

function subscribeRaw(
  nc: NatsConnectionImpl,
  transport: DataTransport | undefined,
  raw: RawSubscription,
  refused: (error: Error) => void,
): () => void {
  const subscription = nc.subscribe(raw.subject, {
    // a message with headers comes here, through the client's parser; it is never a frame
    callback: contained((error, message) => {
      if (error) refused(error);
      else raw.unexpected(message.subject, message);
    }, refused),
  });
  transport?.splitter.subscriptions.set(subscription.getID(), raw);
  return () => {
    transport?.splitter.subscriptions.delete(subscription.getID());
    subscription.unsubscribe();
  };
}

type Callback = (error: Error | null, message: Msg) => void;

/** Catches exceptions of a callback, which would end the client's read loop for good. */
const contained =
  (callback: Callback, refused: (error: Error) => void): Callback =>
  (error, message) => {
    try {
      callback(error, message);
    } catch (thrown) {
      refused(thrown instanceof Error ? thrown : new Error(String(thrown)));
    }
  };

const callbackFor = (
  subject: string,
  received: (text: string, code: number) => void,
  refused: (error: Error) => void,
): Callback =>
  contained((error, message) => {
    if (error) refused(error);
    else if (isPublishedTo(message, subject)) received(message.string(), message.headers?.code ?? 0);
  }, refused);

const unsubscriber = (subscription: Subscription) => (): void => subscription.unsubscribe();
