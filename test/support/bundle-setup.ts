import { fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'rolldown';

const sources = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Bundles zpsend and the simulator for the processes that tests start: a start costs less than half of that of 300 sources.
 * Each run makes them again, so that nothing stale is tested. Folders lie as in the package, whose files find each other by that.
 * One process does the simulator's brief commands; without perl each is one Node process.
 */
export async function setup(): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'zpsend-bundle-'));
  const bundle = (input: Record<string, string>, dir: string, codeSplitting: boolean) =>
    build({
      input,
      platform: 'node',
      logLevel: 'warn',
      output: { dir: join(folder, dir), format: 'esm', entryFileNames: '[name].js', codeSplitting },
    });
  const simulator = join(folder, 'tools/zfs-simulator');
  await Promise.all([
    bundle({ zpsend: join(sources, 'bin/zpsend.ts') }, 'dist/program', true),
    bundle({ main: join(sources, 'tools/zfs-simulator/main.ts') }, 'tools/zfs-simulator', false),
    bundle({ serve: join(sources, 'test/support/sim-server/serve.ts') }, 'tools/zfs-simulator', false),
    cp(join(sources, 'tools/zfs-simulator/bin'), join(simulator, 'bin'), { recursive: true }),
    cp(join(sources, 'package.json'), join(folder, 'package.json')),
  ]);
  process.env.ZPSEND_TEST_BUNDLE = folder;
  process.env.NODE_COMPILE_CACHE = join(folder, 'compile-cache');
  if (spawnSync('/usr/bin/perl', ['-e', '1']).status === 0) {
    const client = join(sources, 'test/support/sim-server/zfs');
    await Promise.all(['zfs', 'zpool'].map((tool) => cp(client, join(simulator, 'bin', tool))));
  }
  const server = fork(join(simulator, 'serve.js'), [join(simulator, 'server.sock'), folder], { execArgv: [] });
  await once(server, 'message');
  // it removes the folder, also where this process is killed
  return async () => {
    const ended = once(server, 'exit');
    server.disconnect();
    await ended;
  };
}
