import { createConnection, type Socket } from 'node:net';
import type { NodeConnectionOptions } from '@nats-io/transport-node';
import { NodeTransport } from '@nats-io/transport-node/lib/node_transport.js';
import { openPooledReader, type PooledReader } from './buffer-pool.ts';
import { openProtocolSplitter, type ProtocolSplitter } from './protocol-splitter.ts';

/** Options of a connection, marked as a data connection: the client passes them on to the transport unchanged. */
export type DataConnectionOptions = NodeConnectionOptions & { readonly dataConnection: true };

const isDataConnection = (options: NodeConnectionOptions): options is DataConnectionOptions =>
  'dataConnection' in options;

/** At most 16 MiB of pool buffers are retained before their bytes are copied. */
const poolBuffers = { size: 256 * 1024, most: 64 };

/**
 * The client's own transport (handshake, TLS, protocol). For a marked connection, it
 *  - reads into reused memory, up to 256 KiB at once, and
 *  - gives raw subscriptions their messages, before the client's parser.
 * For other connections, nothing changes.
 */
export class DataTransport extends NodeTransport {
  readonly splitter: ProtocolSplitter = openProtocolSplitter((bytes) => {
    this.yields.push(bytes);
    this.signal.resolve();
  });
  #reader: PooledReader | undefined;
  #dataConnection = false;
  #running = false;

  override connect(server: { hostname: string; port: number; tlsName: string }, options: NodeConnectionOptions) {
    this.#dataConnection = isDataConnection(options);
    return super.connect(server, options);
  }

  override dial(server: { hostname: string; port: number }): Promise<Socket> {
    return this.#dataConnection ? this.#dialData(server) : super.dial(server);
  }

  #dialData(server: { hostname: string; port: number }): Promise<Socket> {
    const reader = openPooledReader(poolBuffers);
    this.#reader = reader;
    const { promise, resolve, reject } = Promise.withResolvers<Socket>();
    const socket = createConnection({
      host: server.hostname,
      port: server.port,
      noDelay: true,
      onread: {
        buffer: () => reader.room(),
        callback: (length) => {
          const { bytes, poolBuffer } = reader.filled(length);
          if (this.#running) this.#read(() => this.splitter.feed(bytes, poolBuffer));
          // the handshake listens for data events, which a socket with `onread` does not emit
          else socket.emit('data', Buffer.from(bytes));
          return true;
        },
      },
    });
    let failure: Error | undefined;
    socket.on('connect', () => {
      socket.removeAllListeners();
      resolve(socket);
    });
    socket.on('error', (error) => {
      failure = error;
    });
    socket.on('close', () => {
      socket.removeAllListeners();
      reject(failure ?? new Error(`the connection to ${server.hostname}:${server.port} was closed`));
    });
    return promise;
  }

  override setupHandlers(): void {
    super.setupHandlers();
    if (!this.#dataConnection) return;
    this.socket.removeAllListeners('data');
    const early = this.yields;
    this.yields = [];
    for (const frame of early) this.splitter.feed(Buffer.from(frame));
    this.#running = true;
    // a TLS socket emits its decrypted bytes; a plain socket emits none, but needs a listener to flow
    this.socket.on('data', (frame: Buffer) => this.#read(() => this.#copied(frame)));
  }

  /** Copies decrypted bytes into pool buffers, since retaining the buffers of TLS costs half as much CPU again in garbage collection. */
  #copied(frame: Buffer): void {
    const reader = this.#reader;
    for (let at = 0; reader && at < frame.length; ) {
      const length = frame.copy(reader.room(), 0, at);
      const { bytes, poolBuffer } = reader.filled(length);
      this.splitter.feed(bytes, poolBuffer);
      at += length;
    }
  }

  /** Closes the socket if the protocol is broken. Subscriptions handle their own failures. */
  #read(feed: () => void): void {
    try {
      feed();
    } catch (error) {
      this.socket.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** Are so many pool buffers retained that subscriptions should copy what they keep? */
  get underPressure(): boolean {
    return this.#reader?.underPressure ?? false;
  }

  /** Writes whole protocol messages without a copy, in one system call if possible. Calls `flushed` when all is written. */
  write(parts: readonly Buffer[], flushed: () => void): void {
    const last = parts.length - 1;
    this.socket.cork();
    parts.forEach((part, index) => {
      if (index === last) this.socket.write(part, flushed);
      else this.socket.write(part);
    });
    this.socket.uncork();
  }
}
