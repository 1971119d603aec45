import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import {
  type Authenticator,
  credsAuthenticator,
  type NodeConnectionOptions,
  nkeyAuthenticator,
} from '@nats-io/transport-node';
import { z } from 'zod';
import { ZpsendError } from '../../schemas/errors.ts';

/** The fields of a `nats context` file that say where and who (natscli, `~/.config/nats/context/NAME.json`). */
const contextSchema = z.object({
  url: z.string().optional(),
  user: z.string().optional(),
  password: z.string().optional(),
  token: z.string().optional(),
  creds: z.string().optional(),
  nkey: z.string().optional(),
  ca: z.string().optional(),
  cert: z.string().optional(),
  key: z.string().optional(),
  inbox_prefix: z.string().optional(),
});

type Settings = z.infer<typeof contextSchema>;

function readText(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new ZpsendError(
      'BAD_REQUEST',
      `cannot read ${what} ${path}: ${error instanceof Error ? error.message : error}`,
    );
  }
}

function readContext(name: string, env: NodeJS.ProcessEnv): Settings {
  const base = env.XDG_CONFIG_HOME || join(env.HOME || homedir(), '.config');
  const path = join(base, 'nats', 'context', `${name}.json`);
  try {
    return contextSchema.parse(JSON.parse(readText(path, 'the NATS context')));
  } catch (error) {
    if (error instanceof ZpsendError) throw error;
    throw new ZpsendError('BAD_REQUEST', `the NATS context ${path} is not valid: ${String(error)}`);
  }
}

function authenticatorOf(settings: Settings): Authenticator | undefined {
  if (settings.creds)
    return credsAuthenticator(new TextEncoder().encode(readText(settings.creds, 'the credentials file')));
  if (settings.nkey)
    return nkeyAuthenticator(new TextEncoder().encode(readText(settings.nkey, 'the nkey seed file').trim()));
  return undefined;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new ZpsendError('BAD_REQUEST', 'NATS_URL: what stands before the "@" is not percent-encoded');
  }
}

/** The client takes a server's address only; as in the `nats` CLI a URL may hold a user and a password, or a token. */
function serversIn(url: string): Pick<NodeConnectionOptions, 'servers' | 'user' | 'pass' | 'token'> {
  const servers: string[] = [];
  const identity: Pick<NodeConnectionOptions, 'user' | 'pass' | 'token'> = {};
  for (const server of url.split(',').map((part) => part.trim())) {
    const [, scheme = '', user, password, address = server] =
      /^(\w+:\/\/)?(?:([^:@/]*)(?::([^@/]*))?@)?(.*)$/.exec(server) ?? [];
    servers.push(scheme + address);
    if (!user) continue;
    if (password === undefined) identity.token = decoded(user);
    else Object.assign(identity, { user: decoded(user), pass: decoded(password) });
  }
  return { servers, ...identity };
}

/** Where answers come: no subject that anybody serves begins so. */
function inboxPrefixIn(prefix: string): string {
  if (/^_[A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*$/.test(prefix)) return prefix;
  throw new ZpsendError(
    'BAD_REQUEST',
    `the inbox prefix "${prefix}" cannot be one: "_", then letters, digits, "_" and "-", as in _INBOX_smos-00`,
  );
}

/**
 * Where the servers are and who we are, from the variables that the `nats` CLI reads; a variable wins over the context.
 * @throws ZpsendError BAD_REQUEST when a named file cannot be read
 */
export function connectionOptionsFrom(env: NodeJS.ProcessEnv): NodeConnectionOptions {
  const context = env.NATS_CONTEXT ? readContext(env.NATS_CONTEXT, env) : {};
  const pick = (variable: string | undefined, fallback: string | undefined) => variable || fallback || undefined;
  const settings: Settings = {
    url: pick(env.NATS_URL, context.url),
    user: pick(env.NATS_USER, context.user),
    password: pick(env.NATS_PASSWORD, context.password),
    token: pick(env.NATS_TOKEN, context.token),
    creds: pick(env.NATS_CREDS, context.creds),
    nkey: pick(env.NATS_NKEY, context.nkey),
    ca: pick(env.NATS_CA, context.ca),
    cert: pick(env.NATS_CERT, context.cert),
    key: pick(env.NATS_KEY, context.key),
  };
  const options: NodeConnectionOptions = {};
  const authenticator = authenticatorOf(settings);
  if (authenticator) options.authenticator = authenticator;
  if (settings.user && settings.password) Object.assign(options, { user: settings.user, pass: settings.password });
  else if (settings.user) options.token = settings.user; // as the nats CLI: a user without a password is a token
  if (settings.token) options.token = settings.token;
  const inbox = pick(env.ZPSEND_INBOX_PREFIX, context.inbox_prefix);
  if (inbox !== undefined) options.inboxPrefix = inboxPrefixIn(inbox);
  Object.assign(options, serversIn(settings.url ?? 'nats://127.0.0.1:4222'));
  if (settings.ca || settings.cert || options.servers?.toString().includes('tls://')) {
    options.tls = {
      ...(settings.ca && { caFile: settings.ca }),
      ...(settings.cert && { certFile: settings.cert }),
      ...(settings.key && { keyFile: settings.key }),
    };
  }
  return options;
}
