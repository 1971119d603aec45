import { readFileSync, statSync } from 'node:fs';
import { parse } from 'yaml';
import { ZpsendError } from '../../schemas/errors.ts';

/** Where the configuration is looked for; it may lie at one of them. */
export const configPlaces = ['/etc/zpsend.yaml', '/etc/zpsend/zpsend.yaml'] as const;

const exists = (path: string): boolean => statSync(path, { throwIfNoEntry: false }) !== undefined;

/** What this user may not even look for is not there for him. */
function isThere(path: string): boolean {
  try {
    return exists(path);
  } catch {
    return false;
  }
}

/**
 * The configuration file: what ZPSEND_CONFIG names, else the one that exists.
 * @throws ZpsendError BAD_REQUEST where both exist
 */
export function configPath(env: NodeJS.ProcessEnv, places: readonly string[] = configPlaces): string | undefined {
  if (env.ZPSEND_CONFIG) return env.ZPSEND_CONFIG;
  const there = places.filter(isThere);
  if (there.length <= 1) return there[0];
  throw new ZpsendError(
    'BAD_REQUEST',
    `${there.join(' and ')} both exist: keep one of them, or name it in ZPSEND_CONFIG`,
  );
}

/** @throws ZpsendError BAD_REQUEST for a file that cannot be read, or is not YAML, with the place of the fault */
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
    // the parser also shows the line, which may hold a password
    const [what] = (error instanceof Error ? error.message : String(error)).split(/:?\n/);
    throw new ZpsendError('BAD_REQUEST', `${path} is not YAML: ${what}`, { file: path, reason: 'not-yaml' });
  }
}

/** What was found, for a message; of what says where NATS is only the kind is shown, since secrets stand there. */
export function shown(path: readonly PropertyKey[], value: unknown): string {
  if (value === undefined) return 'nothing';
  if (path[0] === 'nats') return `a value of the kind ${Array.isArray(value) ? 'list' : typeof value}`;
  const hidden = (key: string, one: unknown): unknown => (key === 'nats' ? '...' : one);
  return JSON.stringify(value, hidden)?.slice(0, 200) ?? typeof value;
}
