import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, rmdir, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { makeSimHost } from './sim-host.ts';

/** A host with its own pool. */
export interface Host {
  readonly name: string;
  readonly pool: string;
  readonly env: NodeJS.ProcessEnv;
  /** Runs `zfs ...`; rejects on a bad exit. */
  zfs(...argv: string[]): Promise<string>;
  /** Runs `zfs ...`, which may refuse. @returns whether it did it */
  attempt(...argv: string[]): Promise<boolean>;
  /** Adds so many bytes of content. */
  write(dataset: string, bytes: number): Promise<void>;
  /** Equal for snapshots of equal content; undefined where it cannot be read (its key is not loaded, a volume). */
  digest(snapshot: string): Promise<string | undefined>;
  remove(): Promise<void>;
}

const poolBytes = 2 * 1024 ** 3;

/** A host that is the simulator. */
export async function simulatedHost(name: string): Promise<Host> {
  const host = await makeSimHost(name);
  const pool = 'tank';
  await host.zpool('create', pool, String(poolBytes));
  return {
    name,
    pool,
    env: host.env,
    zfs: host.zfs,
    attempt: (...argv) => settled(host.zfs(...argv)),
    write: async (dataset, bytes) => void (await host.zfs('set', `zfs-sim:write=${bytes}`, dataset)),
    digest: (snapshot) => host.zfs('get', '-Hp', '-o', 'value', 'zfs-sim:digest', snapshot),
    remove: host.remove,
  };
}

/** A pool in a file on this machine's own OpenZFS; needs root. */
export async function realHost(name: string): Promise<Host> {
  const folder = await mkdtemp(join(process.env.ZPSEND_SCRATCH ?? tmpdir(), 'zpsend-pool-'));
  const pool = `zpsend-${name}-${process.pid}`;
  const file = join(folder, 'pool');
  await writeFile(file, '');
  await truncate(file, poolBytes);
  await execa('zpool', ['create', '-f', '-O', 'mountpoint=none', pool, file]);
  const zfs = async (...argv: string[]): Promise<string> => (await execa('zfs', argv)).stdout;
  let files = 0;
  return {
    name,
    pool,
    env: { ...process.env, ZPSEND_HOST: name },
    zfs,
    attempt: (...argv) => settled(zfs(...argv)),
    write: (dataset, bytes) =>
      mounted(dataset, (at) => writeFile(join(at, `file${files++}`), Buffer.alloc(bytes, `${files} of ${dataset}`))),
    digest: async (snapshot) => {
      const [type, keystatus] = (
        await zfs('get', '-Hp', '-o', 'value', 'type,keystatus', snapshot.split('@')[0] ?? '')
      ).split('\n');
      if (type === 'volume' || keystatus === 'unavailable') return undefined;
      return mounted(snapshot, digestOfFiles);
    },
    async remove() {
      await execa('zpool', ['destroy', '-f', pool]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Mounts what has no mountpoint, for as long as `work` takes. */
async function mounted<T>(name: string, work: (at: string) => Promise<T>): Promise<T> {
  const at = await mkdtemp(join(tmpdir(), 'zpsend-mount-'));
  await execa('mount', ['-t', 'zfs', ...(name.includes('@') ? [] : ['-o', 'zfsutil']), name, at]);
  try {
    return await work(at);
  } finally {
    await execa('umount', [at]);
    await rmdir(at);
  }
}

async function digestOfFiles(folder: string): Promise<string> {
  const hash = createHash('sha256');
  for (const name of (await readdir(folder)).sort()) hash.update(name).update(await readFile(join(folder, name)));
  return hash.digest('hex');
}

const settled = (work: Promise<unknown>): Promise<boolean> =>
  work.then(
    () => true,
    () => false,
  );
