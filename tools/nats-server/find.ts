import { access, constants, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { execa } from 'execa';
import { type Fetch, fetches, goModule } from './fetch.ts';
import { whileLocked } from './once.ts';

/** The first release with a time to live for each key in KV. */
const oldest = '2.11.0';

export type FoundNatsServer = {
  path: string;
  version: string;
  how: 'NATS_SERVER_BIN' | 'PATH' | 'cache' | 'apt' | 'go';
};

export type FindOptions = {
  env?: NodeJS.ProcessEnv;
  /** Sources to download from, in order; with an empty list, only installed servers count. */
  sources?: readonly Fetch[];
  /** Called before a slow download. */
  log?: (line: string) => void;
};

/** None was found, and none could be downloaded. The message lists all attempts with their errors. */
export class NatsServerMissingError extends Error {
  override readonly name = 'NatsServerMissingError';
  readonly tried: readonly string[];

  constructor(tried: readonly string[]) {
    const list = tried.map((line) => `  - ${line}`).join('\n');
    super(
      `no nats-server ${oldest} or later was found, and none could be downloaded:\n${list}\n` +
        'Install one by hand and put it on PATH, or name it in NATS_SERVER_BIN: a release from ' +
        `https://github.com/nats-io/nats-server/releases, or with Go: go install ${goModule}`,
    );
    this.tried = tried;
  }
}

/**
 * A nats-server that is new enough: `NATS_SERVER_BIN`, else PATH, else the cache folder (`$XDG_CACHE_HOME/zpsend/nats-server`),
 * else one that is downloaded there, without root and without changing the system. Concurrent processes download it once.
 * @throws NatsServerMissingError
 */
export const findNatsServer = async (options: FindOptions = {}): Promise<FoundNatsServer> => {
  const env = options.env ?? process.env;
  const tried: string[] = [];
  const usable = async (path: string, where: string): Promise<string | undefined> => {
    const version = await versionOf(path);
    if (version && atLeast(version, oldest)) return version;
    tried.push(`${where}: ${path} ${version ? `is ${version}` : 'does not run'}`);
    return undefined;
  };

  if (env.NATS_SERVER_BIN) {
    const version = await usable(env.NATS_SERVER_BIN, 'NATS_SERVER_BIN');
    // no fallback from an explicitly named server
    if (!version) throw new NatsServerMissingError(tried);
    return { path: env.NATS_SERVER_BIN, version, how: 'NATS_SERVER_BIN' };
  }
  tried.push('NATS_SERVER_BIN: not set');

  const onPath = await lookUp('nats-server', env.PATH ?? '');
  const pathVersion = onPath && (await usable(onPath, 'PATH'));
  if (onPath && pathVersion) return { path: onPath, version: pathVersion, how: 'PATH' };
  if (!onPath) tried.push('PATH: no nats-server');

  const folder = join(env.XDG_CACHE_HOME || join(env.HOME || homedir(), '.cache'), 'zpsend', 'nats-server');
  const cached = join(folder, 'nats-server');
  const inCache = async (): Promise<FoundNatsServer | undefined> => {
    const version = (await isExecutable(cached)) && (await usable(cached, 'cache'));
    return version ? { path: cached, version, how: 'cache' } : undefined;
  };
  const found = await inCache();
  if (found) return found;
  tried.push(`cache: nothing usable in ${folder}`);

  try {
    await mkdir(folder, { recursive: true });
    return await whileLocked(join(folder, 'lock'), async () => {
      // another process may have downloaded it while this one waited
      const meanwhile = await inCache();
      if (meanwhile) return meanwhile;
      for (const source of options.sources ?? fetches) {
        options.log?.(`downloading a nats-server into ${folder}: ${source.what}`);
        const version = await download(source, folder, cached).catch((error: Error) => {
          tried.push(`${source.what}: ${error.message}`);
        });
        if (version) return { path: cached, version, how: source.how };
      }
      throw new NatsServerMissingError(tried);
    });
  } catch (error) {
    if (error instanceof NatsServerMissingError || !(error instanceof Error)) throw error;
    throw new NatsServerMissingError([...tried, `cache: ${folder} cannot be written: ${error.message}`]);
  }
};

/** Downloads into a temporary folder, checks the executable, and renames it into place. */
const download = async (source: Fetch, folder: string, cached: string): Promise<string> => {
  const work = await mkdtemp(join(folder, 'bring-'));
  try {
    const fresh = join(work, 'nats-server.new');
    await source.run(work, fresh);
    const version = await versionOf(fresh);
    if (!version) throw new Error('the downloaded executable does not run here');
    if (!atLeast(version, oldest)) throw new Error(`the downloaded release is ${version}`);
    await rename(fresh, cached);
    return version;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
};

/** `nats-server: v2.15.1` to `2.15.1`; undefined if it does not run or prints something else. */
const versionOf = async (path: string): Promise<string | undefined> => {
  const { stdout } = await execa(path, ['--version'], { reject: false, stdin: 'ignore', timeout: 20_000 });
  return /v?(\d+\.\d+\.\d+)/.exec(stdout ?? '')?.[1];
};

/** Compares `major.minor.patch`. */
export const atLeast = (version: string, floor: string): boolean => {
  const [a, b] = [version, floor].map((text) => text.split('.').map(Number)) as [number[], number[]];
  const at = a.findIndex((part, index) => part !== (b[index] ?? 0));
  return at < 0 || (a[at] ?? 0) > (b[at] ?? 0);
};

const lookUp = async (name: string, path: string): Promise<string | undefined> => {
  for (const folder of path.split(delimiter).filter(Boolean)) {
    const candidate = join(folder, name);
    if (await isExecutable(candidate)) return candidate;
  }
  return undefined;
};

const isExecutable = (path: string): Promise<boolean> =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
