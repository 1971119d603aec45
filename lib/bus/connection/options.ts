import { readFileSync } from 'node:fs';
import {
  type Authenticator,
  credsAuthenticator,
  jwtAuthenticator,
  type NodeConnectionOptions,
  nkeyAuthenticator,
  nkeys,
} from '@nats-io/transport-node';
import { ZpsendError } from '../../../schemas/errors.ts';
import type { NatsSettings } from './nats-settings.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function readText(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    // the error of Node includes the path
    throw new ZpsendError('BAD_REQUEST', `cannot read ${what}: ${error instanceof Error ? error.message : error}`);
  }
}

/** The secret in a file, without the final newline that an editor adds. */
const secretIn = (path: string, what: string): string => readText(path, what).replace(/\r?\n$/, '');

/**
 * The text of a file. It is read again at each connect, since expiring credentials are renewed there. An unusable text, as of a file
 * that is being written, is ignored.
 */
function renewed(path: string, first: string, isUsable: (text: string) => boolean): () => string {
  let last = first;
  return () => {
    try {
      const text = readFileSync(path, 'utf8');
      if (isUsable(text)) last = text;
    } catch {
      // the last text may still work
    }
    return last;
  };
}

/** The public key of a user's seed; undefined for any other text. */
function publicKeyOf(seed: string): string | undefined {
  try {
    const key = nkeys.fromSeed(bytes(seed)).getPublicKey();
    return key.startsWith('U') ? key : undefined;
  } catch {
    return undefined;
  }
}

/** The identity of the connection, with a description that contains no secret. */
export interface Identity {
  readonly options: Pick<NodeConnectionOptions, 'authenticator' | 'user' | 'pass' | 'token'>;
  readonly words: string;
  /** When the credentials expire. */
  readonly expires?: Date;
}

const notSeed = (what: string): ZpsendError =>
  new ZpsendError(
    'BAD_REQUEST',
    `${what} is not the seed of a user nkey: a seed is one line that begins with SU (nats auth nkey gen user)`,
  );

/** The JWT and the seed in a credentials file; undefined where one is missing. */
function credsIn(text: string): { jwt: string } | undefined {
  const [jwt, seed] = [...text.matchAll(/-{3,}[^\n]*-{3,}\r?\n\s*(\S+)\s*\r?\n\s*-{3,}[^\n]*-{3,}/g)].map(
    ([, block]) => block,
  );
  return jwt && seed && publicKeyOf(seed) !== undefined ? { jwt } : undefined;
}

function fromCreds(path: string): Identity {
  const text = readText(path, 'the credentials file');
  const creds = credsIn(text);
  if (!creds) {
    throw new ZpsendError(
      'BAD_REQUEST',
      `the credentials file ${path} does not contain a JWT and the seed of its user: create one with nsc generate creds`,
    );
  }
  const now = renewed(path, text, (other) => credsIn(other) !== undefined);
  return {
    options: { authenticator: credsAuthenticator(() => bytes(now())) },
    words: `the credentials ${path}`,
    ...expiryOf(creds.jwt),
  };
}

/** The time at which a JWT expires; absent if it does not expire, or is not a JWT. Only the server decides. */
function expiryOf(jwt: string): { expires?: Date } {
  try {
    const { exp } = JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString());
    return typeof exp === 'number' && exp > 0 ? { expires: new Date(exp * 1000) } : {};
  } catch {
    return {};
  }
}

function fromKey(path: string): Identity {
  const seed = readText(path, 'the nkey seed file');
  const key = publicKeyOf(seed.trim());
  if (key === undefined) throw notSeed(`the content of ${path}`);
  const now = renewed(path, seed, (other) => publicKeyOf(other.trim()) !== undefined);
  const authenticator = nkeyAuthenticator(() => bytes(now().trim()));
  return { options: { authenticator }, words: `the nkey ${key} (${path})` };
}

function fromJwt(jwt: string, seed: string | undefined): Identity {
  if (seed && publicKeyOf(seed) === undefined) throw notSeed('the seed that is set with the JWT');
  const authenticator: Authenticator = jwtAuthenticator(jwt, seed ? bytes(seed) : undefined);
  return { options: { authenticator }, words: 'a JWT', ...expiryOf(jwt) };
}

/** One identity; if several are set, in the order of the `nats` CLI. @throws ZpsendError BAD_REQUEST for an invalid one */
export function identityOf(settings: NatsSettings): Identity | undefined {
  const { user, passwordFile, tokenFile, creds, nkey, jwt, seed } = settings;
  const password = settings.password ?? (passwordFile && secretIn(passwordFile, 'the password file'));
  if (user && password) return { options: { user, pass: password }, words: `the user ${user}` };
  if (creds) return fromCreds(creds);
  if (nkey) return fromKey(nkey);
  if (jwt) return fromJwt(jwt, seed);
  const token = settings.token ?? (tokenFile && secretIn(tokenFile, 'the token file'));
  return token ? { options: { token }, words: 'a token' } : undefined;
}

/** The prefix of reply subjects: it begins with "_", so it never overlaps the subject of a service. */
function inboxPrefixIn(prefix: string): string {
  if (/^_[A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*$/.test(prefix)) return prefix;
  throw new ZpsendError(
    'BAD_REQUEST',
    `the inbox prefix "${prefix}" is invalid: use "_", then letters, digits, "_" and "-", as in _INBOX.smos-00`,
  );
}

function tlsOf({ url = '', ca, cert, key, tlsFirst }: NatsSettings): Pick<NodeConnectionOptions, 'tls'> {
  if (!ca && !cert && !tlsFirst && !/(^|,)tls:\/\//i.test(url)) return {};
  // the client reports a missing file as a missing server
  for (const [path, what] of [
    [ca, 'the CA file'],
    [cert, 'the certificate file'],
    [key, 'the key file'],
  ]) {
    if (path) readText(path, what ?? '');
  }
  const files = { ...(ca && { caFile: ca }), ...(cert && { certFile: cert }), ...(key && { keyFile: key }) };
  return { tls: { ...files, ...(tlsFirst && { handshakeFirst: true }) } };
}

/**
 * The options of the NATS client.
 * @throws ZpsendError BAD_REQUEST if a file cannot be read, or has an invalid content
 */
export function connectionOptions(settings: NatsSettings): NodeConnectionOptions {
  const { url = '', inboxPrefix } = settings;
  return {
    servers: url.split(','),
    ...identityOf(settings)?.options,
    ...(inboxPrefix && { inboxPrefix: inboxPrefixIn(inboxPrefix) }),
    ...tlsOf(settings),
  };
}
