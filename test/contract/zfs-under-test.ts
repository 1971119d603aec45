import { spawn, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { simBin } from '../support/program.ts';

/** Whether these tests run on the machine's own OpenZFS (as root, in the virtual machine) instead of the simulator. */
export const isReal = process.env.ZPSEND_REAL_ZFS === '1';

export const MIB = 1024 * 1024;

interface Answer {
  stdout: string;
  stderr: string;
  exit: number | null;
}

/** Two pools of file-backed vdevs and the commands on them, the same for the simulator and for real ZFS. */
export interface Lab {
  /** Names of the pools: the one that sends, and the one that receives. */
  source: string;
  target: string;
  zfs(...argv: string[]): Answer;
  zpool(...argv: string[]): Answer;
  /** The environment that the commands run in. */
  env: NodeJS.ProcessEnv;
  /** As zfs, in another environment. */
  as(env: NodeJS.ProcessEnv, ...argv: string[]): Answer;
  /** As zfs, with bytes on stdin. */
  feed(input: Uint8Array, ...argv: string[]): Answer;
  /** As zfs, and fails the test unless the exit status is 0; answers with stdout's lines. */
  ok(...argv: string[]): string[];
  /** One property, exact. */
  value(property: string, name: string): string;
  /** The bytes of a send. */
  stream(...argv: string[]): Buffer;
  /** Adds so many bytes of content that do not compress. */
  write(dataset: string, bytes: number): void;
  /** Equal for snapshots with equal content. */
  digest(snapshot: string): string;
  /** Starts a receive, gives it bytes, and kills it as soon as `until` holds. */
  receiveAndKill(input: Uint8Array, signal: NodeJS.Signals, until: () => boolean, ...argv: string[]): Promise<void>;
  /** Starts a receive that stays open after its bytes; gives it the rest, ends it and waits when called. */
  receiveSlowly(
    input: Uint8Array,
    ...argv: string[]
  ): { end(rest?: Uint8Array): Promise<{ exit: number | null; stderr: string }> };
  /** Starts a send of which only the beginning is read; `drop` closes its reader. */
  sendSlowly(...argv: string[]): { started: Promise<void>; drop(): Promise<number | null> };
  /** A separate pool, destroyed after the file's tests. */
  pool(name: string, bytes: number, ...options: string[]): string;
  /** Exports a pool and imports it again, `-o readonly=on` say; nothing of it is mounted then. */
  reimport(pool: string, ...options: string[]): void;
}

let labs = 0;

/** A lab for the tests of one file: made before them, thrown away after. `more` goes into the simulator's environment. */
export function lab(bytes = 256 * MIB, more: NodeJS.ProcessEnv = {}): Lab {
  const folder = mkdtempSync(join(process.env.ZPSEND_SCRATCH ?? tmpdir(), 'zfs-contract-'));
  const env = isReal ? process.env : { ...simulated(folder), ...more };
  const mark = `${process.pid}x${labs++}`;
  const pools: string[] = [];
  const run = (tool: string, argv: readonly string[], input?: Uint8Array) =>
    spawnSync(tool, argv, { env, maxBuffer: 512 * MIB, timeout: 120_000, ...(input === undefined ? {} : { input }) });
  const answer = (tool: string, argv: readonly string[], input?: Uint8Array): Answer => {
    const { stdout, stderr, status } = run(tool, argv, input);
    return { stdout: stdout.toString(), stderr: stderr.toString(), exit: status };
  };
  const ok = (...argv: string[]): string[] => {
    const { stdout, stderr, exit } = answer('zfs', argv);
    if (exit !== 0) throw new Error(`zfs ${argv.join(' ')}: exit ${exit}: ${stderr}`);
    return stdout.split('\n').slice(0, -1);
  };
  const value = (property: string, name: string): string => ok('get', '-Hp', '-o', 'value', property, name)[0] ?? '';
  const pool = (name: string, size: number, ...options: string[]): string => {
    const full = `${name}${mark}`;
    const file = join(folder, full);
    writeFileSync(file, '');
    truncateSync(file, size);
    const made = answer('zpool', ['create', '-f', ...options, full, file]);
    if (made.exit !== 0) throw new Error(made.stderr);
    pools.push(full);
    return full;
  };
  const start = (input: Uint8Array, argv: readonly string[]) => {
    const child = spawn('zfs', argv, { env, stdio: ['pipe', 'ignore', 'pipe'] });
    // the rest of the bytes has nowhere to go once it is killed
    child.stdin.on('error', () => undefined);
    child.stdin.write(input);
    child.stderr.resume();
    return { child, ended: new Promise<number | null>((resolve) => child.once('close', resolve)) };
  };
  beforeAll(() => {
    pool('csrc', bytes);
    pool('cdst', bytes);
  });
  afterAll(() => {
    for (const name of pools) answer('zpool', ['destroy', '-f', name]);
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    source: `csrc${mark}`,
    target: `cdst${mark}`,
    env,
    as: (other, ...argv) => {
      const { stdout, stderr, status } = spawnSync('zfs', argv, { env: other, maxBuffer: 512 * MIB });
      return { stdout: stdout.toString(), stderr: stderr.toString(), exit: status };
    },
    zfs: (...argv) => answer('zfs', argv),
    zpool: (...argv) => answer('zpool', argv),
    feed: (input, ...argv) => answer('zfs', argv, input),
    ok,
    value,
    stream: (...argv) => {
      const { stdout, stderr, status } = run('zfs', ['send', ...argv]);
      if (status !== 0) throw new Error(`zfs send ${argv.join(' ')}: ${stderr.toString()}`);
      return stdout;
    },
    write: (dataset, size) => {
      if (!isReal) {
        ok('set', `zfs-sim:write=${size}`, dataset);
        return;
      }
      answer('zfs', ['mount', dataset]);
      writeFileSync(join(value('mountpoint', dataset), randomBytes(8).toString('hex')), randomBytes(size));
      answer('zpool', ['sync', dataset.split('/')[0] ?? dataset]);
    },
    digest: (snapshot) => (isReal ? digestOfFiles(snapshot) : value('zfs-sim:digest', snapshot)),
    receiveAndKill: async (input, signal, until, ...argv) => {
      const { child, ended } = start(input, argv);
      const limit = Date.now() + 60_000;
      // a signal that comes while Linux starts the receive's threads is lost, until its input ends
      const isReading = () => child.stdin.writableLength === 0;
      while (!(until() && isReading()) && Date.now() < limit) await new Promise((resolve) => setTimeout(resolve, 20));
      child.kill(signal);
      await ended;
    },
    receiveSlowly: (input, ...argv) => {
      const { child, ended } = start(input, argv);
      let stderr = '';
      child.stderr.setEncoding('utf8').on('data', (text) => {
        stderr += text;
      });
      return {
        end: async (rest) => {
          child.stdin.end(rest);
          return { exit: await ended, stderr };
        },
      };
    },
    sendSlowly: (...argv) => {
      const child = spawn('zfs', ['send', ...argv], { env, stdio: ['ignore', 'pipe', 'ignore'] });
      const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
      const started = new Promise<void>((resolve) => child.stdout.once('readable', resolve));
      return {
        started,
        drop: () => {
          child.stdout.destroy();
          return ended;
        },
      };
    },
    pool,
    reimport: (name, ...options) => {
      for (const argv of [
        ['export', name],
        ['import', '-N', ...options, '-d', folder, name],
      ]) {
        const { exit, stderr } = answer('zpool', argv);
        if (exit !== 0) throw new Error(`zpool ${argv.join(' ')}: ${stderr}`);
      }
    },
  };
}

/** The environment in which `zfs` and `zpool` are the simulator's. */
function simulated(folder: string): NodeJS.ProcessEnv {
  return {
    ...process.env,
    PATH: `${simBin}:${process.env.PATH ?? ''}`,
    ZFS_SIM_STATE: join(folder, 'state'),
    ZFS_SIM_NODE: process.execPath,
  };
}

/** Names and bytes of a snapshot's files. Mounted as it is: a clone would cost two transactions of the pool. */
function digestOfFiles(snapshot: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'zfs-digest-'));
  const done = (tool: string, ...argv: string[]): void => {
    const { status, stderr } = spawnSync(tool, argv);
    if (status !== 0) throw new Error(`${tool} ${argv.join(' ')}: exit ${status}: ${stderr}`);
  };
  done('mount', '-t', 'zfs', snapshot, folder);
  try {
    const hash = createHash('sha256');
    // folders are where other datasets are mounted
    const files = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile());
    for (const { name } of files.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      hash.update(name).update(readFileSync(join(folder, name)));
    }
    return hash.digest('hex');
  } finally {
    done('umount', folder);
    rmdirSync(folder);
  }
}
