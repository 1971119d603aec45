import { createConnection, type Socket } from 'node:net';
import type { NodeConnectionOptions } from '@nats-io/transport-node';
import { NodeTransport } from '@nats-io/transport-node/lib/node_transport.js';
import { openPooledReader, type PooledReader } from './buffer-pool.ts';
import { openProtocolSplitter, type ProtocolSplitter } from './protocol-splitter.ts';

/** A connection's options with our mark on them: the client hands them to the transport as they are. */
export type DataConnectionOptions = NodeConnectionOptions & { readonly dataConnection: true };

const isDataConnection = (options: NodeConnectionOptions): options is DataConnectionOptions =>
  'dataConnection' in options;

/** At most 16 MiB of socket memory held by unwritten bytes before they are copied out. */
const poolBuffers = { size: 256 * 1024, most: 64 };

/**
 * The client's own transport (handshake, TLS, reading and writing of the protocol), which for a connection with our mark
 *  - reads into memory that is used again, up to 256 KiB at once, and
 *  - takes claimed messages out of what was read, before the client's parser.
 * For any other connection it is the client's transport unchanged.
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
          // the handshake listens for data events, which a socket with separate memory does not emit
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
    // TLS decrypts into its own buffers; a plain socket emits no data from here on, but has to flow
    this.socket.on('data', (frame: Buffer) => this.#read(() => this.#copied(frame)));
  }

  /** What TLS decrypted is copied, so that the collector finds its buffers young: held, they cost half as much CPU again. */
  #copied(frame: Buffer): void {
    const reader = this.#reader;
    for (let at = 0; reader && at < frame.length; ) {
      const length = frame.copy(reader.room(), 0, at);
      const { bytes, poolBuffer } = reader.filled(length);
      this.splitter.feed(bytes, poolBuffer);
      at += length;
    }
  }

  /** The reader of the bytes handles its failures; what is left is a broken protocol. */
  #read(feed: () => void): void {
    try {
      feed();
    } catch (error) {
      this.socket.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** Whether the reader holds so much that a claim should copy what it keeps. */
  get underPressure(): boolean {
    return this.#reader?.underPressure ?? false;
  }

  /** Writes whole protocol messages, uncopied, in one system call where possible. `flushed` is called when all is written. */
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
