import { readFileSync, statSync } from 'node:fs';
import { parse } from 'yaml';
import { ZpsendError } from '../../schemas/errors.ts';

/** The paths of the configuration file; at most one of them may exist. */
export const configPaths = ['/etc/zpsend.yaml', '/etc/zpsend/zpsend.yaml'] as const;

const exists = (path: string): boolean => statSync(path, { throwIfNoEntry: false }) !== undefined;

/** False also if this user may not search the folder. */
function isVisible(path: string): boolean {
  try {
    return exists(path);
  } catch {
    return false;
  }
}

/**
 * The configuration file: ZPSEND_CONFIG, or the existing one of `paths`.
 * @throws ZpsendError BAD_REQUEST if several exist
 */
export function configPath(env: NodeJS.ProcessEnv, paths: readonly string[] = configPaths): string | undefined {
  if (env.ZPSEND_CONFIG) return env.ZPSEND_CONFIG;
  const found = paths.filter(isVisible);
  if (found.length <= 1) return found[0];
  throw new ZpsendError(
    'BAD_REQUEST',
    `${found.join(' and ')} both exist: keep one of them, or name it in ZPSEND_CONFIG`,
  );
}

/** @throws ZpsendError BAD_REQUEST for a file that cannot be read or is not YAML, with the position of the fault */
export function readYaml(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ZpsendError('BAD_REQUEST', `cannot read ${path}: ${error instanceof Error ? error.message : error}`);
  }
  try {
    return parse(text) ?? {};
  } catch (error) {
    // the parser also shows the line, which may contain a password
    const [what] = (error instanceof Error ? error.message : String(error)).split(/:?\n/);
    throw new ZpsendError('BAD_REQUEST', `${path} is not YAML: ${what}`, { file: path, reason: 'not-yaml' });
  }
}

/** The found value, for a message; of the `nats` section, which contains secrets, only its type. */
export function shown(path: readonly PropertyKey[], value: unknown): string {
  if (value === undefined) return 'nothing';
  if (path[0] === 'nats') return `a value of type ${Array.isArray(value) ? 'list' : typeof value}`;
  const hidden = (key: string, one: unknown): unknown => (key === 'nats' ? '...' : one);
  return JSON.stringify(value, hidden)?.slice(0, 200) ?? typeof value;
}
