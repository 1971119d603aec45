import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const sources = fileURLToPath(new URL('../..', import.meta.url));
/** Where this run's bundles are (bundle-setup.ts); the soak, the chaos and the bench have none. */
const bundled = process.env.ZPSEND_TEST_BUNDLE;

/** What `node` is given to run zpsend: this run's bundle, else the sources. */
export const program = join(bundled ?? sources, bundled === undefined ? 'bin/zpsend.ts' : 'dist/program/zpsend.js');

/** The folder with the simulator's `zfs` and `zpool`, as for `program`. */
export const simBin = join(bundled ?? sources, 'tools/zfs-simulator/bin');

/** Where Node keeps what it compiled of them, for a process that does not inherit this one's environment. */
export const compileCache: NodeJS.ProcessEnv =
  process.env.NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE };
