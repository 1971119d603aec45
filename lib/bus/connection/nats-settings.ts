import { type NatsVariable, natsVariables } from '../../../schemas/environment.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { NatsConfig } from '../../../schemas/nats.ts';
import { serversIn } from './server-url.ts';

/** The server and the identity of a connection, from one source. Files are paths. */
export interface NatsSettings {
  /** Comma-separated; without user or password. */
  readonly url?: string | undefined;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  readonly passwordFile?: string | undefined;
  readonly token?: string | undefined;
  readonly tokenFile?: string | undefined;
  readonly creds?: string | undefined;
  readonly nkey?: string | undefined;
  readonly jwt?: string | undefined;
  readonly seed?: string | undefined;
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly tlsFirst?: boolean | undefined;
  readonly inboxPrefix?: string | undefined;
}

/** The settings of one source. */
export interface Layer {
  /** The source, for messages: "/etc/zpsend.yaml". */
  readonly source: string;
  readonly settings: NatsSettings;
}

/** Fields that are valid only together come from one source: half an identity is useless. */
export const parts = {
  server: ['url'],
  identity: ['user', 'password', 'passwordFile', 'token', 'tokenFile', 'creds', 'nkey', 'jwt', 'seed'],
  certificate: ['cert', 'key'],
  ca: ['ca'],
  tlsFirst: ['tlsFirst'],
  inboxPrefix: ['inboxPrefix'],
} as const satisfies Record<string, readonly (keyof NatsSettings)[]>;

export type Part = keyof typeof parts;

export interface Merged {
  readonly settings: NatsSettings;
  /** The source of each part; absent for a part that no source has. */
  readonly sources: Partial<Record<Part, string>>;
}

/** Takes each part from the first source that sets it. */
export function mergeLayers(layers: readonly Layer[]): Merged {
  const separated = layers.map(({ source, settings }) => ({ source, settings: separateUrl(settings, source) }));
  let settings: NatsSettings = {};
  const sources: Partial<Record<Part, string>> = {};
  for (const [part, fields] of Object.entries(parts) as [Part, readonly (keyof NatsSettings)[]][]) {
    const layer = separated.find((one) => fields.some((field) => one.settings[field]));
    if (!layer) continue;
    sources[part] = layer.source;
    settings = { ...settings, ...Object.fromEntries(fields.map((field) => [field, layer.settings[field]])) };
  }
  return { settings, sources };
}

/** As in the `nats` CLI, a URL may contain a user and a password, or a token; the client accepts only an address. */
function separateUrl(settings: NatsSettings, source: string): NatsSettings {
  if (!settings.url) return withToken(settings);
  const servers = serversIn(settings.url, source);
  const url = servers.map(({ address }) => address).join(',');
  const named = servers.findLast(({ user }) => user);
  const identity: NatsSettings =
    named?.password === undefined ? { token: named?.user } : { user: named.user, password: named.password };
  // the identity in the URL has precedence, as in the client libraries of NATS
  if (identity.user || identity.token) {
    const without = Object.fromEntries(parts.identity.map((field) => [field, undefined]));
    return { ...settings, ...without, ...identity, url };
  }
  return withToken({ ...settings, url });
}

/** As in the `nats` CLI, a user without a password is a token. */
function withToken(settings: NatsSettings): NatsSettings {
  const { user, password, passwordFile, token, tokenFile } = settings;
  if (!user || password || passwordFile) return settings;
  return { ...settings, user: undefined, ...(!token && !tokenFile && { token: user }) };
}

/** The setting of each variable of the `nats` CLI. */
const fields: Record<NatsVariable, { readonly field: keyof NatsSettings }> = natsVariables;

export const contextVariable = 'NATS_CONTEXT';

/** Does the environment set the server or the identity? */
export const saysNats = (env: NodeJS.ProcessEnv): boolean =>
  [...Object.keys(fields), contextVariable].some((name) => Boolean(env[name]));

/** The settings of the environment variables; an empty variable counts as unset. */
export function settingsFromVariables(env: NodeJS.ProcessEnv): NatsSettings {
  if (env.NATS_SOCKS_PROXY) {
    throw new ZpsendError('BAD_REQUEST', 'NATS_SOCKS_PROXY: zpsend does not support a proxy; unset it');
  }
  const entries = Object.entries(fields).map(([name, { field }]) => [field, env[name] || undefined]);
  return { ...Object.fromEntries(entries), inboxPrefix: env.ZPSEND_INBOX_PREFIX || undefined };
}

/** The settings of the `nats:` section of the configuration file. */
export function settingsFromConfig({ servers, context: _named, ...settings }: NatsConfig): NatsSettings {
  return { ...settings, url: settings.url ?? servers?.join(',') };
}
