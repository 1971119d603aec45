import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';

/** Memory to read into, and who takes what was read. */
interface OutputReader {
  room(): Buffer;
  /** `length` bytes were read to the beginning of the last room. False when reading should stop until `proceed`. */
  filled(length: number): boolean;
  ended(): void;
  failed(reason: string): void;
}

/**
 * The standard output of a child. As any stream; or, without a fresh buffer of 64 KiB for every read, into memory of the
 * reader's. The collector runs after every 20 MB of such buffers: measured, that doubles the CPU time of a sender and adds
 * 70 MB to its memory.
 */
class ChildOutput extends Readable {
  readonly #socket: Socket;
  #reader: OutputReader | undefined;
  #over = false;

  /** @param path where the other end, the child's, is accepted */
  constructor(path: string) {
    super();
    // what comes before there is a reader, and the first read of it, which the socket has asked memory for already
    const own = Buffer.allocUnsafeSlow(64 * 1024);
    this.#socket = connect({
      path,
      onread: {
        buffer: () => this.#reader?.room() ?? own,
        callback: (length, bytes) => {
          if (!this.#reader) return this.push(Buffer.copyBytesFrom(bytes, 0, length));
          if (bytes === own) own.copy(this.#reader.room(), 0, 0, length);
          return this.#reader.filled(length);
        },
      },
    });
    this.#socket.pause();
    this.#socket.on('error', (error) => this.destroy(error));
    this.#socket.on('end', () => this.#end(() => (this.#reader ? this.#reader.ended() : this.push(null))));
    this.#socket.on('close', () => this.#end(() => this.#reader?.failed('it was closed before its end')));
    // waiting for a child keeps nobody's process alive
    this.#socket.unref();
  }

  /** Reads to the end into the reader's memory; instead of every other way to read, and called once. */
  readInto(reader: OutputReader): void {
    this.#reader = reader;
    this.#start();
  }

  /** After a `filled` that said to stop. */
  proceed(): void {
    this.#start();
  }

  override _read(): void {
    this.#start();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#socket.destroy();
    callback(error);
  }

  #start(): void {
    this.#socket.ref();
    this.#socket.resume();
  }

  #end(tell: () => void): void {
    if (!this.#over) tell();
    this.#over = true;
  }
}

/** An output, and what the child is spawned with as its stdout; that is to be destroyed after the spawn, else the end is never seen. */
interface OutputPair {
  readonly output: ChildOutput;
  readonly stdio: Socket;
}

/** Node opens no pipes of its own and knows no other way to a pair of sockets than to connect them. */
async function openOutputPair(): Promise<OutputPair> {
  const folder = await mkdtemp(join(tmpdir(), 'zpsend-'));
  const server = createServer({ pauseOnConnect: true });
  try {
    const path = join(folder, 'output');
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve));
    const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
    const output = new ChildOutput(path);
    const stdio = await accepted;
    stdio.unref();
    return { output, stdio };
  } finally {
    server.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Keeps one pair open ahead, since a process is spawned at once. */
export interface OutputPairs {
  /** Undefined when none is ready: a child then writes to a 'pipe' of Node's, and only costs more. */
  take(): OutputPair | undefined;
}

export function openOutputPairs(): OutputPairs {
  let ready: OutputPair | undefined;
  const prepare = (): void => {
    openOutputPair().then(
      (pair) => {
        ready = pair;
      },
      () => {},
    );
  };
  prepare();
  return {
    take() {
      const pair = ready;
      ready = undefined;
      if (pair) prepare();
      return pair;
    },
  };
}
