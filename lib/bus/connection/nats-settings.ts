import { ZpsendError } from '../../../schemas/errors.ts';
import type { NatsConfig } from '../../../schemas/nats.ts';
import { serversIn } from './server-url.ts';

/** Where NATS is and who we are there, as one place says it. Files are paths. */
export interface NatsSettings {
  /** With commas between several; without user or password. */
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

/** Settings of one place. */
export interface Layer {
  /** The place, for people: "/etc/zpsend.yaml". */
  readonly source: string;
  readonly settings: NatsSettings;
}

/** Fields that only mean something together come from one place: half an identity is none. */
const parts = {
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
  /** Where each part is from; a part that is nowhere is absent. */
  readonly sources: Partial<Record<Part, string>>;
}

/** Each part from the first place that says something of it. */
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

/** As in the `nats` CLI a URL may hold a user and a password, or a token; the client takes only an address. */
function separateUrl(settings: NatsSettings, source: string): NatsSettings {
  if (!settings.url) return withToken(settings);
  const servers = serversIn(settings.url, source);
  const url = servers.map(({ address }) => address).join(',');
  const named = servers.findLast(({ user }) => user);
  const identity: NatsSettings =
    named?.password === undefined ? { token: named?.user } : { user: named.user, password: named.password };
  // what stands in the URL goes first, as in the client libraries of NATS
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

/** The variables of the `nats` CLI that say where NATS is and who we are. */
const natsVariables = {
  url: 'NATS_URL',
  user: 'NATS_USER',
  password: 'NATS_PASSWORD',
  token: 'NATS_TOKEN',
  creds: 'NATS_CREDS',
  nkey: 'NATS_NKEY',
  jwt: 'NATS_JWT',
  seed: 'NATS_SEED',
  ca: 'NATS_CA',
  cert: 'NATS_CERT',
  key: 'NATS_KEY',
} as const satisfies Partial<Record<keyof NatsSettings, string>>;

export const contextVariable = 'NATS_CONTEXT';

/** Does the environment say anything of where NATS is, or who we are? */
export const saysNats = (env: NodeJS.ProcessEnv): boolean =>
  [...Object.values(natsVariables), contextVariable].some((name) => Boolean(env[name]));

/** What variables say; an empty one says nothing. */
export function settingsFromVariables(env: NodeJS.ProcessEnv): NatsSettings {
  if (env.NATS_SOCKS_PROXY) {
    throw new ZpsendError('BAD_REQUEST', 'NATS_SOCKS_PROXY: zpsend connects through no proxy; unset it');
  }
  const entries = Object.entries(natsVariables).map(([field, name]) => [field, env[name] || undefined]);
  return { ...Object.fromEntries(entries), inboxPrefix: env.ZPSEND_INBOX_PREFIX || undefined };
}

/** What the `nats:` section of the configuration file says. */
export function settingsFromConfig({ servers, context: _named, ...said }: NatsConfig): NatsSettings {
  return { ...said, url: said.url ?? servers?.join(',') };
}
