import { fileURLToPath } from 'node:url';
import { execa } from 'execa';

const program = fileURLToPath(new URL('../../bin/zpsend.ts', import.meta.url));

/** A service as a process of its own. */
export interface ServiceProcess {
  readonly pid: number;
  /** What it logged so far, one JSON line each. */
  readonly log: string[];
  /** Resolves when a line of its log holds the text; rejects when the process ends first. */
  said(text: string): Promise<void>;
  /** Sends the signal and resolves with the exit status, or the signal that ended it. */
  end(signal?: 'SIGTERM' | 'SIGKILL' | 'SIGINT'): Promise<number | string>;
}

/**
 * Starts `zpsend sender|receiver` and resolves when it is ready (`waitReady: false`: at once).
 * @param options.through a command that runs another in its place, as setpriv does
 */
export async function startService(
  name: 'sender' | 'receiver',
  env: NodeJS.ProcessEnv,
  options: { waitReady?: boolean; through?: readonly string[] } = {},
): Promise<ServiceProcess> {
  const [command = process.execPath, ...argv] = [...(options.through ?? []), process.execPath, program, name];
  const child = execa(command, argv, {
    env: { ZPSEND_LOG: 'json', ...env },
    extendEnv: false,
    stdin: 'ignore',
    reject: false,
    buffer: false,
    cleanup: true,
  });
  const log: string[] = [];
  const waiting = new Set<() => void>();
  child.stderr.setEncoding('utf8');
  let rest = '';
  child.stderr.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    log.push(...lines);
    for (const look of waiting) look();
  });
  child.stdout.resume();
  let over: string | undefined;
  const ended = child.then(({ exitCode, signal }) => {
    over = `${exitCode ?? signal}`;
    for (const look of waiting) look();
    return exitCode ?? signal ?? 'unknown';
  });
  const service: ServiceProcess = {
    pid: child.pid ?? 0,
    log,
    said: (text) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (log.some((line) => line.includes(text))) resolve();
          else if (over !== undefined)
            reject(new Error(`${name} ended (${over}) without saying "${text}":\n${log.join('\n')}`));
          else return;
          waiting.delete(look);
        };
        waiting.add(look);
        look();
      }),
    async end(signal = 'SIGTERM') {
      if (!over) child.kill(signal);
      return ended;
    },
  };
  if (options.waitReady !== false) await service.said('is ready on');
  return service;
}
