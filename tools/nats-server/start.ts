import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConfigOptions, configText } from './config.ts';
import { type FoundNatsServer, findNatsServer } from './find.ts';
import { runServer, type ServerProcess } from './process.ts';

export type StartOptions = ConfigOptions & {
  /** The executable; by default what `findNatsServer` says, asked once per process. */
  path?: string;
  /** Its name in logs and in a cluster. */
  name?: string;
  /** The client port; free when absent. */
  port?: number;
  /** Where JetStream keeps its files; when absent a temporary folder that `stop` removes. */
  storeDir?: string;
  /** In milliseconds; 60,000 when absent. */
  readyWithin?: number;
};

/** A nats-server of our own, on 127.0.0.1 only. It ends with this process, however that ends. */
export type NatsServer = {
  /** `nats://127.0.0.1:<port>`; the same over a restart. */
  readonly url: string;
  readonly port: number;
  /** `http://127.0.0.1:<port>`: `/varz`, `/connz`, `/jsz`, ...; changes with a restart. */
  readonly monitor: string;
  /** Of the current run. */
  readonly pid: number;
  /** The newest 5,000 lines it logged, over all its runs. */
  readonly logs: readonly string[];
  /** Ends it as an administrator does, and removes what it kept. May be called twice. */
  stop(): Promise<void>;
  /** SIGKILL; what it kept stays, for `restart`. */
  kill(): Promise<void>;
  /** Has it read its configuration anew, as an administrator does; resolves when that is done. */
  reload(): Promise<void>;
  /** Ends it if it still runs, and starts it again with the same port and store; resolves when it serves. */
  restart(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

const keptLines = 5000;

let found: Promise<FoundNatsServer> | undefined;
const defaultPath = async (): Promise<string> => {
  found ??= findNatsServer();
  return (await found).path;
};

/**
 * Starts a nats-server and resolves when it serves.
 * @throws NatsServerMissingError where none can be found or brought
 * @throws Error with its last log lines when it does not get ready (a mistake in `config`, a port that is taken)
 */
export const startNatsServer = async (options: StartOptions = {}): Promise<NatsServer> => {
  const path = options.path ?? (await defaultPath());
  const home = await mkdtemp(join(tmpdir(), `zpsend-nats-${process.pid}-`));
  const configFile = join(home, 'nats-server.conf');
  const logs: string[] = [];
  let onLine = (_line: string): void => {};
  const log = (line: string) => {
    onLine(line);
    logs.push(line);
    if (logs.length > keptLines) logs.shift();
  };

  const run = async (port: number): Promise<ServerProcess> => {
    // its watcher removes the folder when it has to kill the server
    await mkdir(home, { recursive: true });
    await writeFile(configFile, configText(options));
    const flags = ['-c', configFile, '-a', '127.0.0.1', '-p', `${port}`, '-m', '-1'];
    if (options.name) flags.push('-n', options.name);
    if (options.jetstream) flags.push('-js', '-sd', options.storeDir ?? join(home, 'store'));
    return runServer({ path, flags, home, log, readyWithin: options.readyWithin ?? 60_000 });
  };

  let current: ServerProcess;
  try {
    current = await run(options.port ?? -1);
  } catch (error) {
    await rm(home, { recursive: true, force: true });
    throw error;
  }
  const { port } = current;
  let running = true;
  const end = async (signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
    if (running) await current.end(signal);
    running = false;
  };
  const stop = async (): Promise<void> => {
    await end('SIGTERM');
    await rm(home, { recursive: true, force: true });
  };

  return {
    url: `nats://127.0.0.1:${port}`,
    port,
    logs,
    get monitor() {
      return `http://127.0.0.1:${current.monitorPort}`;
    },
    get pid() {
      return current.pid;
    },
    stop,
    kill: () => end('SIGKILL'),
    reload: async () => {
      await writeFile(configFile, configText(options));
      const done = new Promise<void>((resolve) => {
        onLine = (line) => {
          if (line.includes('Reloaded server configuration')) resolve();
        };
      });
      process.kill(current.pid, 'SIGHUP');
      await done;
    },
    restart: async () => {
      await end('SIGTERM');
      current = await run(port);
      running = true;
    },
    [Symbol.asyncDispose]: stop,
  };
};
