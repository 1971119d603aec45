import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { execa } from 'execa';
import { compileCache, simBin } from './program.ts';

/** A machine with its own ZFS: the simulator on PATH, and a folder that is its pools. */
export interface SimHost {
  readonly name: string;
  readonly env: NodeJS.ProcessEnv;
  /** Runs `zfs ...` there and gives its standard output; rejects on a bad exit. */
  zfs(...argv: string[]): Promise<string>;
  zpool(...argv: string[]): Promise<string>;
  /** One JSON line per zfs process that ran there. */
  processes(): Promise<{ argv: string[] }[]>;
  remove(): Promise<void>;
}

export async function makeSimHost(name: string): Promise<SimHost> {
  const folder = await mkdtemp(join(tmpdir(), `zpsend-${name}-`));
  const log = join(folder, 'processes.jsonl');
  const env: NodeJS.ProcessEnv = {
    PATH: [simBin, process.env.PATH].join(delimiter),
    HOME: folder,
    ZFS_SIM_STATE: join(folder, 'state'),
    ZFS_SIM_NODE: process.execPath,
    ZFS_SIM_LOG: log,
    ZPSEND_HOST: name,
    ...compileCache,
  };
  const run = async (command: string, argv: string[]): Promise<string> =>
    (await execa(join(simBin, command), argv, { env, extendEnv: false })).stdout;
  return {
    name,
    env,
    zfs: (...argv) => run('zfs', argv),
    zpool: (...argv) => run('zpool', argv),
    async processes() {
      const text = await readFile(log, 'utf8').catch(() => '');
      return text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line));
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
