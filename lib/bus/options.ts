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
  const options: NodeConnectionOptions = { servers: (settings.url ?? 'nats://127.0.0.1:4222').split(',') };
  const authenticator = authenticatorOf(settings);
  if (authenticator) options.authenticator = authenticator;
  if (settings.user && settings.password) Object.assign(options, { user: settings.user, pass: settings.password });
  else if (settings.user) options.token = settings.user; // as the nats CLI: a user without a password is a token
  if (settings.token) options.token = settings.token;
  if (settings.ca || settings.cert || options.servers?.toString().includes('tls://')) {
    options.tls = {
      ...(settings.ca && { caFile: settings.ca }),
      ...(settings.cert && { certFile: settings.cert }),
      ...(settings.key && { keyFile: settings.key }),
    };
  }
  return options;
}
