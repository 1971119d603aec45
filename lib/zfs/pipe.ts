import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';

/** Provides memory to read into, and consumes it. */
interface OutputReader {
  room(): Buffer;
  /** `length` bytes were read to the beginning of the last `room()`. @returns false to pause reading until `proceed` */
  filled(length: number): boolean;
  ended(): void;
  failed(reason: string): void;
}

/**
 * The standard output of a child, as a Readable or read into the reader's memory. A Readable allocates 64 KiB for every read, and
 * the garbage collector runs after every 20 MB: measured, that doubles the CPU time of a sender and adds 70 MB to its memory.
 */
class ChildOutput extends Readable {
  readonly #socket: Socket;
  #reader: OutputReader | undefined;
  #over = false;

  /** @param path of the socket on which the child's end is accepted */
  constructor(path: string) {
    super();
    // for bytes before `readInto`, and for the first read after it, whose buffer the socket already has
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
    // waiting for a child does not keep this process alive
    this.#socket.unref();
  }

  /** Reads to the end into the reader's memory, instead of as a Readable. Called once. */
  readInto(reader: OutputReader): void {
    this.#reader = reader;
    this.#start();
  }

  /** Continues after a `filled` that returned false. */
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

  #end(notify: () => void): void {
    if (!this.#over) notify();
    this.#over = true;
  }
}

/** An output, and the stdout of the child. The caller destroys `stdio` after the spawn; otherwise `output` never ends. */
interface OutputPair {
  readonly output: ChildOutput;
  readonly stdio: Socket;
}

/** Node has neither pipe(2) nor socketpair(2): two ends have to be connected. */
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

/** Keeps one pair open in advance, because a spawn is synchronous. */
export interface OutputPairs {
  /** Undefined if none is ready: the child then writes to a 'pipe' of Node, which costs more CPU time. */
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
