import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { NatsSettings } from './nats-settings.ts';

/** The fields of a context that zpsend uses (jsm.go, natscontext/context.go). */
const used = {
  url: 'url',
  user: 'user',
  password: 'password',
  token: 'token',
  creds: 'creds',
  nkey: 'nkey',
  user_jwt: 'jwt',
  user_seed: 'seed',
  ca: 'ca',
  cert: 'cert',
  key: 'key',
  tls_first: 'tlsFirst',
  inbox_prefix: 'inboxPrefix',
} as const satisfies Record<string, keyof NatsSettings>;

const files = ['creds', 'nkey', 'ca', 'cert', 'key'];
/** Fields that do not affect the connection. */
const ignored = ['name', 'description', 'color_scheme'];

const text = z.string().optional();
const contextSchema = z.looseObject({
  ...(Object.fromEntries(Object.keys(used).map((field) => [field, text])) as Record<keyof typeof used, typeof text>),
  tls_first: z.boolean().optional(),
});

/** Where the `nats` CLI keeps its contexts. */
const contextsFolder = (env: NodeJS.ProcessEnv): string =>
  join(env.XDG_CONFIG_HOME || join(env.HOME || homedir(), '.config'), 'nats');

/** The name that `nats context select` wrote; undefined if none is selected, or this user may not read it. */
export function selectedContext(env: NodeJS.ProcessEnv): string | undefined {
  try {
    return readFileSync(join(contextsFolder(env), 'context.txt'), 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}

const bad = (what: string): ZpsendError => new ZpsendError('BAD_REQUEST', what);

/**
 * The settings of a context of the `nats` CLI.
 * @param name the name that the CLI uses, or the path of a `.json` file
 * @throws ZpsendError BAD_REQUEST if the context cannot be read, or needs a feature that zpsend lacks
 */
export function readContext(name: string, env: NodeJS.ProcessEnv): NatsSettings {
  const isPath = name.includes('/') && name.endsWith('.json');
  if (!isPath && (name.includes('..') || /[/\\]/.test(name))) throw bad(`"${name}" is not the name of a NATS context`);
  const path = isPath ? name : join(contextsFolder(env), 'context', `${name}.json`);
  const context = parseContext(path);
  const settings = Object.entries(used).map(([field, ours]) => {
    const value = context[field];
    return [ours, typeof value === 'string' ? supported(value, field, path, env) : value || undefined];
  });
  const others = Object.entries(context).filter(
    ([field, value]) => !(field in used) && !ignored.includes(field) && isSet(value),
  );
  if (others.length > 0) {
    const fields = others.map(([field]) => field).join(', ');
    throw bad(
      `the NATS context ${path} has ${fields}, which zpsend does not support; use a context without it, or NATS_URL and NATS_CREDS`,
    );
  }
  return Object.fromEntries(settings);
}

const isSet = (value: unknown): boolean => (Array.isArray(value) ? value.length > 0 : Boolean(value));

function parseContext(path: string): Record<string, unknown> {
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (error) {
    // the error of Node includes the path
    throw bad(`cannot read the NATS context: ${error instanceof Error ? error.message : error}`);
  }
  // the message omits the value, which may be a secret
  try {
    const parsed = contextSchema.safeParse(JSON.parse(content));
    if (parsed.success) return parsed.data;
    throw bad(
      `the NATS context ${path} is not valid: ${parsed.error.issues.map(({ path: at, message }) => `${at.join('.')}: ${message}`).join('; ')}`,
    );
  } catch (error) {
    if (error instanceof ZpsendError) throw error;
    throw bad(`the NATS context ${path} is not valid: it is not JSON`);
  }
}

/** Expands `~` and `$NAME` in file names as the CLI does. Of its references (`env://`, `op://`, `nsc://`, ...) it accepts only `file://`. */
function supported(value: string, field: string, path: string, env: NodeJS.ProcessEnv): string | undefined {
  if (value === '') return undefined;
  const isUrl = field === 'url';
  const [, scheme] = (!isUrl && /^(env|op|nsc|data|file):/i.exec(value)) || [];
  if (scheme !== undefined && (scheme.toLowerCase() !== 'file' || !files.includes(field))) {
    throw bad(`the NATS context ${path} has ${field}: ${scheme}:..., which zpsend does not support; name a file`);
  }
  if (!files.includes(field)) return value;
  const expanded = value
    .replace(/^file:\/\//i, '')
    .replace(/\$(?:\{(\w+)\}|(\w+))/g, (_all, braced, plain) => env[braced ?? plain] ?? '');
  return expanded.startsWith('~') ? `${env.HOME || homedir()}${expanded.slice(1)}` : expanded;
}
