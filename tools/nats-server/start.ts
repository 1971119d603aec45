import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConfigOptions, configText } from './config.ts';
import { type FoundNatsServer, findNatsServer } from './find.ts';
import { runServer, type ServerProcess } from './process.ts';

export type StartOptions = ConfigOptions & {
  /** The executable; by default that of `findNatsServer`, which is called once for each process. */
  path?: string;
  /** Its name in logs and in a cluster. */
  name?: string;
  /** The client port; a free one if absent. */
  port?: number;
  /** JetStream's folder; if absent, a temporary one that `stop` removes. */
  storeDir?: string;
  /** In milliseconds; 60,000 if absent. */
  readyWithin?: number;
};

/** A private nats-server, on 127.0.0.1 only. It ends with this process, even after SIGKILL. */
export type NatsServer = {
  /** `nats://127.0.0.1:<port>`; the same after a restart. */
  readonly url: string;
  readonly port: number;
  /** `http://127.0.0.1:<port>`: `/varz`, `/connz`, `/jsz`, ...; changes with a restart. */
  readonly monitor: string;
  /** Of the current run. */
  readonly pid: number;
  /** The newest 5,000 lines of its log, over all runs. */
  readonly logs: readonly string[];
  /** Ends it with SIGTERM, and removes its files. May be called twice. */
  stop(): Promise<void>;
  /** SIGKILL; keeps its files for `restart`. */
  kill(): Promise<void>;
  /** Makes it reload its configuration (SIGHUP); resolves after that. */
  reload(): Promise<void>;
  /** Ends it if it still runs, and starts it again with the same port and store; resolves when it is ready. */
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
 * Starts a nats-server and resolves when it is ready.
 * @throws NatsServerMissingError if none can be found or downloaded
 * @throws Error with its last log lines if it does not become ready (a mistake in `config`, a port that is taken)
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
    // the watcher removes the folder if it has to kill the server
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
