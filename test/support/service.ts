import { execa } from 'execa';
import type { LogEvent } from '../../schemas/log-event.ts';
import type { LogFields } from '../../services/host/log.ts';
import { program } from './program.ts';

/** One line of a log in JSON. */
type LogLine = LogFields & { readonly event: LogEvent; readonly msg: string };

function linesOf(log: readonly string[], event: LogEvent, fields: LogFields): LogLine[] {
  const wanted = Object.entries({ event, ...fields });
  return log
    .filter((line) => line.includes(`"event":"${event}"`))
    .map((line) => JSON.parse(line))
    .filter((line) => wanted.every(([field, value]) => line[field] === value));
}

/** A service as a process. */
export interface ServiceProcess {
  readonly pid: number;
  /** What it logged so far, one JSON line each. */
  readonly log: string[];
  /** Resolves with the first line of its log that is about that, with those fields; rejects when the process ends first. */
  logged(event: LogEvent, fields?: LogFields): Promise<LogLine>;
  /** All such lines so far. */
  lines(event: LogEvent, fields?: LogFields): LogLine[];
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
    for (const check of waiting) check();
  });
  child.stdout.resume();
  let over: string | undefined;
  const ended = child.then(({ exitCode, signal }) => {
    over = `${exitCode ?? signal}`;
    for (const check of waiting) check();
    return exitCode ?? signal ?? 'unknown';
  });
  const service: ServiceProcess = {
    pid: child.pid ?? 0,
    log,
    lines: (event, fields = {}) => linesOf(log, event, fields),
    logged: (event, fields = {}) =>
      new Promise((resolve, reject) => {
        const check = () => {
          const [found] = linesOf(log, event, fields);
          if (found) resolve(found);
          else if (over !== undefined)
            reject(new Error(`${name} ended (${over}) before it logged ${event}:\n${log.join('\n')}`));
          else return;
          waiting.delete(check);
        };
        waiting.add(check);
        check();
      }),
    async end(signal = 'SIGTERM') {
      if (!over) child.kill(signal);
      return ended;
    },
  };
  if (options.waitReady !== false) await service.logged('service.ready');
  return service;
}
