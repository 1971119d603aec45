import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';

/** One run of the nats-server executable. */
export type ServerProcess = {
  pid: number;
  port: number;
  monitorPort: number;
  /** Sends the signal, then SIGKILL after 10 s. Resolves after the end. */
  end: (signal: 'SIGTERM' | 'SIGKILL') => Promise<void>;
};

export type ServerProcessOptions = {
  path: string;
  flags: readonly string[];
  /** A private folder of this server, with its ports file; the watcher removes it. */
  home: string;
  /** Called with each line of the server's log. */
  log: (line: string) => void;
  /** In milliseconds. */
  readyWithin: number;
};

/**
 * Kills the server and removes its folder when this process ends, even by SIGKILL: the kernel then closes the
 * pipe that the watcher reads. In a separate session, so that a terminal's ctrl-C does not reach them.
 */
const watch = (pid: number, home: string) =>
  execa('/bin/sh', ['-c', 'read -r _; kill -9 "$1" 2>/dev/null; rm -rf -- "$2"', 'zpsend-nats-watch', `${pid}`, home], {
    stdin: 'pipe',
    stdout: 'ignore',
    stderr: 'ignore',
    detached: true,
    cleanup: false,
    reject: false,
  });

/** Starts it and waits until it is ready. @throws Error with the last log lines if it does not become ready */
export const runServer = async (options: ServerProcessOptions): Promise<ServerProcess> => {
  const child = execa(options.path, ['--ports_file_dir', options.home, ...options.flags], {
    stdin: 'ignore',
    stdout: 'ignore',
    buffer: false,
    detached: true,
    cleanup: false,
    reject: false,
  });
  const last: string[] = [];
  const logs = (async () => {
    for await (const line of child.iterable({ from: 'stderr' })) {
      last.push(line);
      if (last.length > 10) last.shift();
      options.log(line);
    }
  })().catch(() => undefined);
  let ended = false;
  const exit = Promise.all([child, logs]).then(([result]) => {
    ended = true;
    return result;
  });
  const { pid } = child;
  if (pid === undefined) {
    const { shortMessage } = await exit;
    throw new Error(`${options.path} could not be started: ${shortMessage}`);
  }
  const watcher = watch(pid, options.home);

  const end = async (signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
    child.kill(signal);
    const force = setTimeout(() => child.kill('SIGKILL'), 10_000);
    await exit;
    clearTimeout(force);
    watcher.kill('SIGKILL');
    await watcher;
  };

  try {
    const ports = await ready(options, pid, () => ended);
    return { pid, ...ports, end };
  } catch (error) {
    await end('SIGKILL');
    const lines = last.map((line) => `\n  ${line}`).join('');
    throw new Error(`nats-server ${error instanceof Error ? error.message : error}${lines}`, { cause: error });
  }
};

/** Ready when its ports file exists and its health check succeeds (with JetStream in a cluster: when a leader is known). */
const ready = async (options: ServerProcessOptions, pid: number, hasEnded: () => boolean) => {
  const deadline = performance.now() + options.readyWithin;
  const portsFile = join(options.home, `${options.path.split('/').at(-1)}_${pid}.ports`);
  for (;;) {
    if (hasEnded()) throw new Error('ended while it started:');
    const ports = await readPorts(portsFile);
    if (ports && (await healthy(ports.monitorPort))) return ports;
    if (performance.now() > deadline) throw new Error(`did not get ready within ${options.readyWithin} ms:`);
    await sleep(20);
  }
};

const readPorts = async (path: string) => {
  const text = await readFile(path, 'utf8').catch(() => '');
  // the file is incomplete while it is being written
  if (!text.endsWith('}')) return undefined;
  const { nats = [], monitoring = [] } = JSON.parse(text) as { nats?: string[]; monitoring?: string[] };
  const [port, monitorPort] = [nats, monitoring].map(([url]) => Number(url?.split(':').at(-1)));
  return port && monitorPort ? { port, monitorPort } : undefined;
};

const healthy = (monitorPort: number): Promise<boolean> =>
  fetch(`http://127.0.0.1:${monitorPort}/healthz`, { signal: AbortSignal.timeout(2000) }).then(
    async (response) => {
      await response.arrayBuffer();
      return response.ok;
    },
    () => false,
  );
