import { userInfo } from 'node:os';
import { Readable, type Writable } from 'node:stream';
import { execa } from 'execa';
import { ZpsendError } from '../../schemas/errors.ts';
import { timing } from '../time/timing.ts';
import { type Failure, notSet, toError } from './errors.ts';
import type { OutputPairs } from './pipe.ts';

/** How zpsend runs `zfs` on this host. */
export interface ZfsEnvironment {
  host: string;
  /** The user that runs it, as an argument of `zfs allow`. */
  user: string;
  env: NodeJS.ProcessEnv;
  /** For the streams of `zfs send`; a Node pipe if absent. */
  outputs?: OutputPairs;
  /** Timeout of a command that changes no data, in milliseconds; 5 minutes if absent. */
  queryTimeoutMs?: number;
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
   * Of a receive. Errors here are handled and do not prove a failure: `zfs receive` may end after the stream's last record,
   * before its input is closed (a pipeline then reports "premature close"). Only `done` has the result.
   */
  readonly stdin: Writable;
  /** Of a send. Paused until it is iterated, piped or resumed, so a late reader loses nothing. */
  readonly stdout: Readable;
  /** Resolves after exit 0 with messages about properties that could not be set; rejects with a ZpsendError. Never unhandled. */
  readonly done: Promise<readonly string[]>;
  /**
   * SIGTERM (default) is followed by SIGKILL after 5 s. Closes both pipes as well: Linux loses a signal, even SIGKILL, that arrives
   * while ZFS starts its threads, and the process then waits for its pipe.
   */
  kill(signal?: 'SIGTERM' | 'SIGKILL'): void;
}

/** Limits of stdout and stderr, in bytes. */
const maxListing = 512 * 1024 * 1024;
const maxStderr = 64 * 1024;

/** The environment of every process: adds the sbin folders, which cron's PATH lacks, and turns off translation. */
export function environment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const path = (env.PATH ?? '').split(':').filter((folder) => folder !== '');
  const missing = ['/usr/local/sbin', '/usr/sbin', '/sbin'].filter((folder) => !path.includes(folder));
  return { ...env, PATH: [...path, ...missing].join(':'), LC_ALL: 'C' };
}

/** The name of this process's user, or its uid if it has no name. */
export function whoami(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? 'USER');
  }
}

function notStarted(command: string, doing: string, host: string, cause: unknown): ZpsendError {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  const options = { cause };
  if (code === 'ENOENT') {
    const what = `${command} was not found on PATH; install OpenZFS (Debian: zfsutils-linux; FreeBSD and illumos include it)`;
    return new ZpsendError('UNSUPPORTED', `${doing} on ${host}: ${what}`, undefined, options);
  }
  if (code === 'EACCES')
    return new ZpsendError(
      'NOT_ALLOWED',
      `${doing} on ${host}: this user may not execute ${command}`,
      undefined,
      options,
    );
  const what = cause instanceof Error ? cause.message : String(cause);
  return new ZpsendError(
    'INTERNAL',
    `${doing} on ${host}: ${command} could not be started: ${what}`,
    undefined,
    options,
  );
}

type ShortCommand = [zfsEnvironment: ZfsEnvironment, command: 'zfs' | 'zpool', argv: string[], doing: string];

const spawnShort = ([zfsEnvironment, command, argv]: ShortCommand) =>
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
  [zfsEnvironment, command, argv, doing]: ShortCommand,
): Outcome {
  if (result.isMaxBuffer)
    throw new ZpsendError(
      'INTERNAL',
      `${doing} on ${zfsEnvironment.host}: ${command} printed more than ${maxListing / 2 ** 20} MiB`,
    );
  const { exitCode, signal } = result;
  if (exitCode === undefined && signal === undefined)
    throw notStarted(command, doing, zfsEnvironment.host, result.cause);
  // names, guids and numbers are ASCII, and latin1 strings take one byte a character
  const [stdout, stderr] = [text(result.stdout), text(result.stderr)];
  return { argv, user: zfsEnvironment.user, ok: exitCode === 0, stdout, stderr, exitCode, signal };
}

/**
 * Runs a command to its end, without a timeout: a hanging command that changes a target must not outlive its lock.
 * @returns also for a non-zero exit status
 * @throws ZpsendError if the command cannot be started
 */
export const run = async (...short: ShortCommand): Promise<Outcome> => outcomeOf(await spawnShort(short), short);

/**
 * As `run`, for commands that change no data. Killed after the timeout and not awaited: a process stuck in the kernel ignores
 * SIGKILL.
 * @throws ZpsendError TIMEOUT
 */
export async function runQuery(...short: ShortCommand): Promise<Outcome> {
  const [{ host, queryTimeoutMs = timing.zfs.runMs }, command, argv, doing] = short;
  const child = spawnShort(short);
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    child.kill('SIGKILL');
    const what = `${command} ${argv[0]} did not end within ${queryTimeoutMs / 1000} s; check for a suspended pool with zpool status`;
    late.reject(new ZpsendError('TIMEOUT', `${doing} on ${host}: ${what}`));
  }, queryTimeoutMs);
  try {
    return outcomeOf(await Promise.race([child, late.promise]), short);
  } finally {
    clearTimeout(timer);
  }
}

const text = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');

/** Starts a `zfs send` or `zfs receive`; passes the stream's bytes unchanged. */
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
  // execa has no stream for an output that it did not create
  const stdout: Readable = pair?.output ?? child.stdout ?? Readable.from([]);
  // execa discards output that is not read within a tick; a paused stream waits for its reader
  if (!pair) stdout.pause();
  // execa removes its own listeners when the process ends
  child.stdin.on('error', () => {});
  stdout.on('error', () => {});
  if (argv[0] === 'send') child.stdin.end();
  else stdout.resume();

  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    if (stderr.length < maxStderr) stderr += chunk.toString('latin1');
  });
  const stderrEnd = new Promise((resolve) => child.stderr.once('close', resolve));
  // not execa's promise, which waits until all of stdout is read
  const exit = new Promise<{ exitCode?: number; signal?: string; cause?: unknown }>((resolve) => {
    child.nodeChildProcess.once('exit', (exitCode, signal) => {
      resolve(signal === null ? { exitCode: exitCode ?? 1 } : { signal });
    });
    // resolves only for a process that could not be started: otherwise 'exit' comes first
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
