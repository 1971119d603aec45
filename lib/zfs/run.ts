import { userInfo } from 'node:os';
import { Readable, type Writable } from 'node:stream';
import { execa } from 'execa';
import { ZpsendError } from '../../schemas/errors.ts';
import { timing } from '../time/timing.ts';
import { type Failure, notSet, toError } from './errors.ts';
import type { OutputPairs } from './pipe.ts';

/** Where and how `zfs` is run. */
export interface ZfsEnvironment {
  host: string;
  /** Who runs it, as `zfs allow` is told. */
  user: string;
  env: NodeJS.ProcessEnv;
  /** For the streams of `zfs send`; a plain pipe without. */
  outputs?: OutputPairs;
  /** How long a command that changes no data may take, in milliseconds. */
  briefMs?: number;
}

export interface Outcome {
  argv: readonly string[];
  user: string;
  ok: boolean;
  stdout: string;
  stderr: string;
  exitCode: number | undefined;
  signal: string | undefined;
}

/** A running `zfs send` or `zfs receive`. */
export interface ZfsProcess {
  readonly pid: number | undefined;
  /**
   * Of a receive. An error here is never unhandled, and no proof of failure: `zfs receive` may end after the stream's
   * last record, before its input is closed (a pipeline then says "premature close"). Only `done` tells how it went.
   */
  readonly stdin: Writable;
  /** Of a send. Paused until it is iterated, piped or resumed, so nothing is lost if reading begins late. */
  readonly stdout: Readable;
  /**
   * Resolves after exit 0, with what could not be set, for people; rejects with a ZpsendError made from what `zfs` said. Never
   * an unhandled rejection.
   */
  readonly done: Promise<readonly string[]>;
  /**
   * SIGTERM (default) is followed by SIGKILL after 5 s. Both pipes are closed at once: Linux loses a signal that comes while ZFS
   * starts its threads, SIGKILL too, and the process then waits for its pipe.
   */
  kill(signal?: 'SIGTERM' | 'SIGKILL'): void;
}

const maxListing = 512 * 1024 * 1024;
const maxStderr = 64 * 1024;

/** The environment of every process: `zfs` in the system's folders too (cron's PATH lacks them), untranslated messages. */
export function environment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const path = (env.PATH ?? '').split(':').filter((folder) => folder !== '');
  const missing = ['/usr/local/sbin', '/usr/sbin', '/sbin'].filter((folder) => !path.includes(folder));
  return { ...env, PATH: [...path, ...missing].join(':'), LC_ALL: 'C' };
}

/** This process's user by name, or by number where it has no name here. */
export function whoami(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? 'USER');
  }
}

/** What kept the process from starting, as a coded error. */
function notStarted(command: string, doing: string, host: string, cause: unknown): ZpsendError {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  const options = { cause };
  if (code === 'ENOENT') {
    const what = `${command} was not found on PATH; install OpenZFS (Debian: zfsutils-linux, FreeBSD and illumos have it)`;
    return new ZpsendError('UNSUPPORTED', `${doing} on ${host}: ${what}`, undefined, options);
  }
  if (code === 'EACCES')
    return new ZpsendError('NOT_ALLOWED', `${doing} on ${host}: ${command} may not be run here`, undefined, options);
  const what = cause instanceof Error ? cause.message : String(cause);
  return new ZpsendError(
    'INTERNAL',
    `${doing} on ${host}: ${command} could not be started: ${what}`,
    undefined,
    options,
  );
}

type Short = [zfsEnvironment: ZfsEnvironment, command: 'zfs' | 'zpool', argv: string[], doing: string];

const spawnShort = ([zfsEnvironment, command, argv]: Short) =>
  execa(command, argv, {
    env: zfsEnvironment.env,
    extendEnv: false,
    stdin: 'ignore',
    encoding: 'buffer',
    reject: false,
    maxBuffer: { stdout: maxListing, stderr: 16 * maxStderr },
  });

function outcomeOf(
  result: Awaited<ReturnType<typeof spawnShort>>,
  [zfsEnvironment, command, argv, doing]: Short,
): Outcome {
  if (result.isMaxBuffer)
    throw new ZpsendError(
      'INTERNAL',
      `${doing} on ${zfsEnvironment.host}: ${command} printed more than this program can take`,
    );
  const { exitCode, signal } = result;
  if (exitCode === undefined && signal === undefined)
    throw notStarted(command, doing, zfsEnvironment.host, result.cause);
  // names, guids and numbers are ASCII, and latin1 strings take one byte a character
  const [stdout, stderr] = [text(result.stdout), text(result.stderr)];
  return { argv, user: zfsEnvironment.user, ok: exitCode === 0, stdout, stderr, exitCode, signal };
}

/** Runs a short command to its end, however long that takes. A bad exit status is an outcome; only a command that cannot run throws. */
export const run = async (...short: Short): Promise<Outcome> => outcomeOf(await spawnShort(short), short);

/**
 * The same for a command that changes no data, a listing or a hold say: it is killed after 5 minutes, and not waited for longer,
 * since what hangs in the kernel does not even end when it is killed. A command that changes a target may not be left alone like
 * that: hung under a lock that is given back, it could still do its work later.
 * @throws ZpsendError TIMEOUT
 */
export async function runQuery(...short: Short): Promise<Outcome> {
  const [{ host, briefMs = timing.zfs.runMs }, command, argv, doing] = short;
  const child = spawnShort(short);
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    child.kill('SIGKILL');
    const what = `${command} ${argv[0]} did not end within ${briefMs / 1000} s; does a pool hang (zpool status)?`;
    late.reject(new ZpsendError('TIMEOUT', `${doing} on ${host}: ${what}`));
  }, briefMs);
  try {
    return outcomeOf(await Promise.race([child, late.promise]), short);
  } finally {
    clearTimeout(timer);
  }
}

const text = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');

/** Starts a `zfs send` or `zfs receive`; the stream's bytes pass through untouched. */
export function start(
  zfsEnvironment: ZfsEnvironment,
  argv: string[],
  about: Pick<Failure, 'doing' | 'from'>,
): ZfsProcess {
  const pair = argv[0] === 'send' ? zfsEnvironment.outputs?.take() : undefined;
  const child = execa('zfs', argv, {
    env: zfsEnvironment.env,
    extendEnv: false,
    encoding: 'buffer',
    buffer: false,
    reject: false,
    stdout: pair?.stdio ?? 'pipe',
  });
  pair?.stdio.destroy();
  // execa has no stream for an output that is not its own
  const stdout: Readable = pair?.output ?? child.stdout ?? Readable.from([]);
  // execa lets go what nobody reads within a tick; a paused stream waits for its reader
  if (!pair) stdout.pause();
  // a listener of our own: what becomes of execa's after its end is its affair
  child.stdin.on('error', () => {});
  stdout.on('error', () => {});
  if (argv[0] === 'send') child.stdin.end();
  else stdout.resume();

  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    if (stderr.length < maxStderr) stderr += chunk.toString('latin1');
  });
  const stderrEnd = new Promise((resolve) => child.stderr.once('close', resolve));
  // not execa's own end, which waits until all of stdout was read
  const exit = new Promise<{ exitCode?: number; signal?: string; cause?: unknown }>((resolve) => {
    child.nodeChildProcess.once('exit', (exitCode, signal) => {
      resolve(signal === null ? { exitCode: exitCode ?? 1 } : { signal });
    });
    // the rest is what could not be started
    void child.then(({ cause, message }) => resolve({ cause: cause ?? message }));
  });
  const done = exit.then(async ({ exitCode, signal, cause }) => {
    if (cause !== undefined) throw notStarted('zfs', about.doing, zfsEnvironment.host, cause);
    await stderrEnd;
    const outcome = { ...about, argv, user: zfsEnvironment.user, host: zfsEnvironment.host, stderr, exitCode, signal };
    if (exitCode === 0) return notSet(outcome);
    throw toError(outcome);
  });
  done.catch(() => {});

  return {
    pid: child.pid,
    stdin: child.stdin,
    stdout,
    done,
    kill(signal = 'SIGTERM') {
      child.kill(signal);
      child.stdin.destroy();
      stdout.destroy();
    },
  };
}
