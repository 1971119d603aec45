import { execa } from 'execa';
import { timing } from '../../../lib/time/timing.ts';

/** A service of the demo: a child process. */
export interface Background {
  readonly pid: number;
  stop(): Promise<void>;
}

/**
 * Starts `zpsend sender|receiver`, and resolves when it is ready. `onLine` gets each line of its log.
 * @throws Error with the end of its log if it ends before that
 */
export async function startService(
  [node, script]: readonly [string, string],
  service: 'sender' | 'receiver',
  env: NodeJS.ProcessEnv,
  onLine: (line: string) => void,
): Promise<Background> {
  const child = execa(node, [script, service], {
    env: { ...env, ZPSEND_LOG: 'people' },
    extendEnv: false,
    stdin: 'ignore',
    stdout: 'ignore',
    buffer: false,
    reject: false,
  });
  const ready = Promise.withResolvers<void>();
  const log: string[] = [];
  const reading = (async () => {
    for await (const line of child.iterable({ from: 'stderr' })) {
      log.push(line);
      onLine(line);
      if (line.includes('is ready on')) ready.resolve();
    }
  })();
  const ended = reading
    .catch(() => {})
    .then(() => child)
    .then(() => ready.reject(new Error(`the ${service} did not start: ${log.slice(-3).join('; ')}`)));
  const timer = setTimeout(
    () => ready.reject(new Error(`the ${service} is not ready after 60 s`)),
    timing.cli.demoReadyMs,
  );
  await ready.promise.finally(() => clearTimeout(timer));
  return {
    pid: child.pid ?? 0,
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/**
 * Removes everything when this process ends, also by SIGKILL: the kernel then closes the pipe that the guard reads. It is
 * detached, so that a Ctrl-C does not reach it.
 */
export function startGuard(folder: string, removal: string, env: NodeJS.ProcessEnv) {
  const script = [
    'while read -r pid; do if [ "$pid" = ended ]; then pids=; else pids="$pids $pid"; fi; done',
    // the kernel releases what a killed process used a moment later
    'if [ -n "$pids" ]; then kill -9 $pids 2>/dev/null; sleep 1; fi',
    removal,
    'rm -rf -- "$1"',
  ].join('\n');
  const guard = execa('/bin/sh', ['-c', script, 'zpsend-demo-guard', folder], {
    env,
    extendEnv: false,
    stdin: 'pipe',
    stdout: 'ignore',
    stderr: 'ignore',
    detached: true,
    cleanup: false,
    reject: false,
  });
  return {
    /** Adds a process that must not outlive this one. */
    watch: (pid: number) => void guard.stdin.write(`${pid}\n`),
    /** Removes pools and folder now; the processes have been stopped. */
    async stop() {
      guard.stdin.end('ended\n');
      await guard;
    },
  };
}
