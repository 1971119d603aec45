import { errors } from '@nats-io/transport-node';
import { ZpsendError } from '../../../schemas/errors.ts';

/** Who connects, for the message. */
export interface Asker {
  /** The servers, without credentials. */
  readonly servers: string;
  /** The identity that they see, without secrets; undefined if it is unknown. */
  readonly identity?: { readonly words: string; readonly expires?: Date } | undefined;
  /** The name of a NATS context that is selected but not used. */
  readonly unused?: string | undefined;
}

const untrusted = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_UNTRUSTED',
  'CERT_SIGNATURE_FAILURE',
]);

const codeOf = (thrown: unknown): string =>
  thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : '';

const textOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown)).trim();

/** The reason in an OpenSSL error, without file names and function names. */
const shortened = (text: string): string =>
  /SSL routines:[^:]*:([^:]+):/.exec(text)?.[1] ?? text.split('; if the root CA')[0] ?? text;

/** Did the login time out on the server? The client has the same class for this and for a refusal. */
const isLate = (thrown: unknown): boolean =>
  thrown instanceof errors.AuthorizationError && /authentication timeout/i.test(thrown.message);

/** Did a server answer and refuse this identity? */
export const isRefused = (thrown: unknown): boolean =>
  (thrown instanceof errors.AuthorizationError && !isLate(thrown)) ||
  thrown instanceof errors.UserAuthenticationExpiredError;

/** Did a server answer at all? A server that refuses explains more than one that is absent. */
export const isAnswer = (thrown: unknown): boolean => isRefused(thrown) || tlsTrouble(thrown, '') !== undefined;

/** The TLS problem and its remedy; undefined if the error has another cause. */
function tlsTrouble(thrown: unknown, servers: string): readonly [kind: string, words: string] | undefined {
  const [code, text] = [codeOf(thrown), textOf(thrown)];
  if (untrusted.has(code)) {
    return [
      'untrusted',
      `the certificate of the NATS server at ${servers} is not trusted (${shortened(text)}): set NATS_CA (ca) to the file of the CA that signed it`,
    ];
  }
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
    return [
      'not-valid-now',
      `the certificate of the NATS server at ${servers} is not valid now (${shortened(text)}): check the clock of this machine, or renew the certificate`,
    ];
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return [
      'other-name',
      `the certificate of the NATS server at ${servers} is for another name (${text}): use a name from the certificate in the URL`,
    ];
  }
  if (text.includes("server does not support 'tls'")) {
    return [
      'no-tls',
      `the NATS server at ${servers} does not support TLS, but tls://, a CA or a certificate requires it: use nats:// without NATS_CA and NATS_CERT, or enable TLS on the server`,
    ];
  }
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER') {
    return [
      'no-tls-first',
      `the NATS server at ${servers} does not start with a TLS handshake: remove tlsFirst (tls_first)`,
    ];
  }
  if (/CERTIFICATE_REQUIRED|BAD_CERTIFICATE|HANDSHAKE_FAILURE|UNKNOWN_CA|CERTIFICATE_UNKNOWN/.test(code)) {
    return [
      'client-certificate',
      `the NATS server at ${servers} requires a client certificate that it trusts (${shortened(text)}): set NATS_CERT and NATS_KEY`,
    ];
  }
  if (code.startsWith('ERR_SSL_') || code.startsWith('ERR_TLS_') || code.startsWith('ERR_OSSL_')) {
    return [
      'handshake',
      `TLS with the NATS server at ${servers} fails: ${shortened(text)}; check NATS_CA, NATS_CERT and NATS_KEY`,
    ];
  }
  if (text.includes('node provided an undefined error')) {
    return [
      'hung-up',
      `the server at ${servers} closes the connection without an answer: it is not a NATS server, or it starts with TLS (handshake_first); then set tlsFirst: true, or tls_first in the context`,
    ];
  }
  if (text.includes('unexpected response from server')) {
    return ['not-nats', `the server at ${servers} is not a NATS server: check the port`];
  }
  return undefined;
}

/** Why the connection failed, and what to do: the server is absent, refuses this identity, or expects another protocol. */
export function connectError(thrown: unknown, asker: Asker): ZpsendError {
  const { servers, unused } = asker;
  const selected =
    unused === undefined ? '' : `; the selected context ${unused} is not used; set NATS_CONTEXT=${unused} to use it`;
  if (isRefused(thrown)) return refused(textOf(thrown), asker, selected);
  const tls = tlsTrouble(thrown, servers);
  if (tls !== undefined) {
    const [kind, words] = tls;
    return new ZpsendError('UNREACHABLE', `${words}${selected}`, { reason: 'tls', tls: kind });
  }
  if (isLate(thrown)) {
    const what = `the login at the NATS server at ${servers} timed out (${textOf(thrown)}): the server is overloaded, or its authorization.timeout is too short`;
    return new ZpsendError('UNREACHABLE', `${what}${selected}`, { reason: 'no-server' });
  }
  if (thrown instanceof errors.TimeoutError) {
    const what = `no NATS server answers at ${servers} in time: check the address and the port`;
    return new ZpsendError('UNREACHABLE', `${what}${selected}`, { reason: 'no-server' });
  }
  return new ZpsendError(
    'UNREACHABLE',
    `no NATS server answers at ${servers}: ${textOf(thrown)}; start nats-server, or set NATS_URL (and NATS_CREDS, NATS_CA, ...), ` +
      `or "nats:" in the configuration file${selected}`,
    { reason: 'no-server' },
  );
}

function refused(reply: string, { servers, identity }: Asker, selected: string): ZpsendError {
  const { words, expires } = identity ?? {};
  const who = words ?? 'a client without credentials';
  const isOver = expires !== undefined && expires.getTime() <= Date.now();
  const why = isOver ? `they expired on ${expires.toISOString()}; get new ones` : undefined;
  const remedy =
    words === undefined
      ? 'set NATS_NKEY, NATS_CREDS, or NATS_USER and NATS_PASSWORD'
      : 'compare it with the users of that server (zpsend deploy permissions HOST prints one)';
  return new ZpsendError(
    'NOT_ALLOWED',
    `the NATS server at ${servers} refuses ${who} (${reply}): ${why ?? remedy}${selected}`,
    { reason: 'login-refused' },
  );
}
