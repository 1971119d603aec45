import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'rolldown';

const sources = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Bundles zpsend and the simulator for the processes that tests start: a start costs less than half of that of 300 sources.
 * Each run makes them anew, so that nothing stale is tested. Folders lie as in the package, whose files find each other by that.
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
  await Promise.all([
    bundle({ zpsend: join(sources, 'bin/zpsend.ts') }, 'dist/program', true),
    bundle({ main: join(sources, 'lib/zfs-sim/main.ts') }, 'lib/zfs-sim', false),
    cp(join(sources, 'lib/zfs-sim/bin'), join(folder, 'lib/zfs-sim/bin'), { recursive: true }),
    cp(join(sources, 'package.json'), join(folder, 'package.json')),
  ]);
  process.env.ZPSEND_TEST_BUNDLE = folder;
  process.env.NODE_COMPILE_CACHE = join(folder, 'compile-cache');
  return () => rm(folder, { recursive: true, force: true, maxRetries: 10 });
}
