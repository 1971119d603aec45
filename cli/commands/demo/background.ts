import { execa } from 'execa';
import { timing } from '../../../lib/time/timing.ts';

/** A service of the demo, as a process of its own. */
export interface Background {
  readonly pid: number;
  stop(): Promise<void>;
}

/**
 * Starts `zpsend sender|receiver` and resolves when it is ready; `heard` is given each line of its log.
 * @throws Error with what it said when it ends before that
 */
export async function startService(
  [node, script]: readonly [string, string],
  service: 'sender' | 'receiver',
  env: NodeJS.ProcessEnv,
  heard: (line: string) => void,
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
  const listening = (async () => {
    for await (const line of child.iterable({ from: 'stderr' })) {
      log.push(line);
      heard(line);
      if (line.includes('is ready on')) ready.resolve();
    }
  })();
  const ended = listening
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
 * Takes everything away when this process ends in whatever way, SIGKILL included: the kernel then closes the pipe that
 * the guard reads. In a session of its own, so that a Ctrl-C does not reach it.
 */
export function startGuard(folder: string, removal: string, env: NodeJS.ProcessEnv) {
  const script = [
    'while read -r pid; do if [ "$pid" = ended ]; then pids=; else pids="$pids $pid"; fi; done',
    // what a killed process held is free a moment later
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
    /** One more process that must not outlive this one. */
    watch: (pid: number) => void guard.stdin.write(`${pid}\n`),
    /** Takes pools and folder away now; the processes have been stopped. */
    async stop() {
      guard.stdin.end('ended\n');
      await guard;
    },
  };
}
