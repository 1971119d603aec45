import { randomBytes } from 'node:crypto';
import { appendFile, mkdir, truncate, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { bytes } from '../../output/format.ts';

/** One of the two hosts of the demo, both on this machine. */
export interface Machine {
  readonly host: string;
  readonly pool: string;
  readonly env: NodeJS.ProcessEnv;
  /** Writes so many new bytes into a dataset of this host. */
  write(dataset: string, count: number): Promise<void>;
}

export interface Machines {
  readonly source: Machine;
  readonly target: Machine;
  /** The ZFS that they use, in words. */
  readonly what: string;
  /** Shell commands that destroy the pools; empty if removing the folder is enough. */
  readonly removal: string;
}

const simulator = fileURLToPath(new URL('../../../tools/zfs-simulator/bin', import.meta.url));
const poolSize = 512 * 2 ** 20;

/** Two hosts in `folder`: on real ZFS if this user may create pools in files, otherwise on the simulator. */
export async function makeMachines(folder: string, env: NodeJS.ProcessEnv, simulated: boolean): Promise<Machines> {
  if (simulated) return makeSimulated(folder, env, '--simulator');
  try {
    return await makeReal(folder, env);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return makeSimulated(folder, env, `no pools of ${bytes(poolSize)} in files: ${why}`);
  }
}

async function makeReal(folder: string, env: NodeJS.ProcessEnv): Promise<Machines> {
  const admin = { ...env, PATH: [env.PATH, '/usr/local/sbin', '/usr/sbin', '/sbin'].join(delimiter), LC_ALL: 'C' };
  const made: string[] = [];
  const make = async (host: string): Promise<Machine> => {
    const pool = `demo${host.slice(-2)}_${process.pid}`;
    const [image, mountpoint] = [join(folder, `${host}.img`), join(folder, host)];
    await writeFile(image, '');
    await truncate(image, poolSize);
    const options = ['-o', 'cachefile=none', '-O', `mountpoint=${mountpoint}`];
    const { exitCode, stderr, failed } = await execa('zpool', ['create', ...options, pool, image], {
      env: admin,
      extendEnv: false,
      reject: false,
    });
    if (exitCode !== 0)
      throw new Error(failed && !stderr ? 'there is no zpool command' : (stderr.split('\n')[0] ?? ''));
    made.push(pool);
    return {
      host,
      pool,
      env: { ...admin, ZPSEND_HOST: host },
      write: (dataset, count) =>
        appendFile(join(mountpoint, dataset.slice(pool.length + 1), 'data'), randomBytes(count)),
    };
  };
  try {
    const [source, target] = [await make('smos-01'), await make('smos-00')];
    const { stdout } = await execa('zfs', ['version'], { env: admin, extendEnv: false, reject: false });
    const what = `OpenZFS (${stdout.split('\n')[0]}), with pools in files: ${made.join(', ')}`;
    return { source, target, what, removal: made.map((pool) => `zpool destroy -f ${pool}`).join('\n') };
  } catch (error) {
    for (const pool of made) await execa('zpool', ['destroy', '-f', pool], { env: admin, reject: false });
    throw error;
  }
}

async function makeSimulated(folder: string, env: NodeJS.ProcessEnv, why: string): Promise<Machines> {
  const make = async (host: string): Promise<Machine> => {
    const state = join(folder, host);
    await mkdir(state, { recursive: true });
    const own = {
      ...env,
      PATH: [simulator, env.PATH].join(delimiter),
      ZFS_SIM_STATE: state,
      ZFS_SIM_NODE: process.execPath,
      ZPSEND_HOST: host,
    };
    const options = { env: own, extendEnv: false };
    await execa('zpool', ['create', 'zones'], options);
    return {
      host,
      pool: 'zones',
      env: own,
      write: async (dataset, count) => void (await execa('zfs', ['set', `zfs-sim:write=${count}`, dataset], options)),
    };
  };
  const [source, target] = [await make('smos-01'), await make('smos-00')];
  return { source, target, what: `the simulator (${why})`, removal: '' };
}
