import { readFileSync } from 'node:fs';
import { ZpsendError } from '../../schemas/errors.ts';

const defaultEnvironmentFile = '/etc/zpsend/env';

/** The environment of this program, and the state of its environment file. */
export interface ProgramEnvironment {
  readonly env: NodeJS.ProcessEnv;
  readonly path: string;
  /**
   * - `read`: its variables are in `env`
   * - `absent`: the file does not exist
   * - `unreadable`: this user may not read it, which is no error
   * - `passed over`: the environment has its own NATS settings, so `env` has only the other variables of the file
   */
  readonly state: 'read' | 'absent' | 'unreadable' | 'passed over';
}

const isOurs = (name: string): boolean => /^(?:NATS|ZPSEND)_[A-Z0-9_]*$/.test(name);
/** All NATS settings come from one source; the inbox prefix belongs to the user's permissions. */
const isOfNats = (name: string): boolean => name.startsWith('NATS_') || name === 'ZPSEND_INBOX_PREFIX';

/**
 * The environment of a command or service, with the variables of the file that systemd reads for the services (`EnvironmentFile=`), so
 * that a command run by hand or by cron has the same. Variables of the environment win. If it has NATS settings, those of the file are
 * ignored.
 * @param saysNats does an environment have NATS settings?
 * @throws ZpsendError BAD_REQUEST if ZPSEND_ENV_FILE names a file that cannot be read
 */
export function programEnvironment(
  env: NodeJS.ProcessEnv,
  saysNats: (env: NodeJS.ProcessEnv) => boolean,
  standard = defaultEnvironmentFile,
): ProgramEnvironment {
  const path = env.ZPSEND_ENV_FILE || standard;
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (env.ZPSEND_ENV_FILE) throw new ZpsendError('BAD_REQUEST', `ZPSEND_ENV_FILE: cannot read the file: ${message}`);
    const isAbsent = error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
    return { env, path, state: isAbsent ? 'absent' : 'unreadable' };
  }
  const hasNats = saysNats(env);
  const variables = Object.entries(parseEnvironmentFile(text)).filter(
    ([name]) => isOurs(name) && !env[name] && !(hasNats && isOfNats(name)),
  );
  return { env: { ...env, ...Object.fromEntries(variables) }, path, state: hasNats ? 'passed over' : 'read' };
}

/**
 * Reads the environment of a running service again. What systemd (`EnvironmentFile=`) or a shell has taken from the file at the start is
 * in the environment itself, and would hide the file's new value. So a variable with the file's value at the start comes from the file.
 * @returns the environment as it would be after a restart; @throws ZpsendError BAD_REQUEST for a file that cannot be read any more
 */
export function environmentReader(
  env: NodeJS.ProcessEnv,
  saysNats: (env: NodeJS.ProcessEnv) => boolean,
  standard = defaultEnvironmentFile,
): () => NodeJS.ProcessEnv {
  const fromFile = variablesOf(env.ZPSEND_ENV_FILE || standard);
  const own = fromFile ? withoutFile(env, fromFile, saysNats) : env;
  return () => {
    const program = programEnvironment(own, saysNats, standard);
    if (program.state === 'unreadable' && fromFile)
      throw new ZpsendError('BAD_REQUEST', `${program.path} was read at the start, and cannot be read now`);
    return program.env;
  };
}

/** The variables of a file; undefined if it cannot be read. */
function variablesOf(path: string): Record<string, string> | undefined {
  try {
    return parseEnvironmentFile(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/** All NATS settings come from the file, or none. */
function withoutFile(
  env: NodeJS.ProcessEnv,
  file: Record<string, string>,
  saysNats: (env: NodeJS.ProcessEnv) => boolean,
): NodeJS.ProcessEnv {
  const without = (isTaken: (name: string) => boolean): NodeJS.ProcessEnv =>
    Object.fromEntries(
      Object.entries(env).filter(([name, value]) => !isOurs(name) || !isTaken(name) || file[name] !== value),
    );
  const own = without(() => true);
  return saysNats(own) ? without((name) => !isOfNats(name)) : own;
}

type State = 'before key' | 'key' | 'before value' | 'value' | 'single' | 'double' | 'comment';

/**
 * The variables of a file as systemd reads it (systemd.exec(5), EnvironmentFile=; `parse_env_file_internal` in env-file.c): `#` and `;`
 * start comments, quotes may contain newlines, a backslash at the end of a line continues it, and nothing is expanded.
 */
export function parseEnvironmentFile(text: string): Record<string, string> {
  const variables: Record<string, string> = {};
  let [state, key, value, kept]: [State, string, string, number] = ['before key', '', '', 0];
  const end = (): void => {
    const name = key.trim();
    // unquoted trailing spaces are ignored
    if (/^[A-Za-z_]\w*$/.test(name)) variables[name] = state === 'value' ? value.slice(0, kept) : value;
    [state, key, value, kept] = ['before key', '', '', 0];
  };
  const characters = text.replaceAll('\r\n', '\n');
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at] ?? '';
    const isEscape = character === '\\';
    if (state === 'before key') {
      if (character === '#' || character === ';') state = 'comment';
      else if (!/\s/.test(character)) [state, key] = ['key', character];
    } else if (state === 'comment') {
      if (character === '\n') state = 'before key';
    } else if (state === 'key') {
      if (character === '\n') [state, key] = ['before key', ''];
      else if (character === '=') state = 'before value';
      else key += character;
    } else if (state === 'single') {
      if (character === "'") state = 'before value';
      else value += character;
    } else if (state === 'double') {
      if (character === '"') state = 'before value';
      else if (isEscape) value += escapedInQuotes(characters[++at]);
      else value += character;
    } else if (character === '\n') {
      end();
    } else if (isEscape) {
      const next = characters[++at] ?? '';
      if (next !== '\n') value += next;
      [state, kept] = ['value', value.length];
    } else if (state === 'before value' && (character === "'" || character === '"')) {
      state = character === "'" ? 'single' : 'double';
    } else if (state === 'value' || !/\s/.test(character)) {
      state = 'value';
      value += character;
      if (!/\s/.test(character)) kept = value.length;
    }
  }
  if (state !== 'before key' && state !== 'comment' && state !== 'key') end();
  return variables;
}

const escapedInQuotes = (next = ''): string => {
  if ('"\\`$'.includes(next)) return next;
  return next === '\n' ? '' : `\\${next}`;
};
