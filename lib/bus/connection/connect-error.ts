import { errors } from '@nats-io/transport-node';
import { ZpsendError } from '../../../schemas/errors.ts';

/** Who asks, for the message. */
export interface Asker {
  /** The servers, without credentials. */
  readonly servers: string;
  /** Who we are to them, without secrets; undefined where that is unknown. */
  readonly identity?: { readonly words: string; readonly expires?: Date } | undefined;
  /** The context that is selected, and not used. */
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

/** The words of OpenSSL, without the places in its sources. */
const shortened = (text: string): string =>
  /SSL routines:[^:]*:([^:]+):/.exec(text)?.[1] ?? text.split('; if the root CA')[0] ?? text;

/** The login took longer than the server waits: it is not about who we are. The client has one class for this and for a refusal. */
const isLate = (thrown: unknown): boolean =>
  thrown instanceof errors.AuthorizationError && /authentication timeout/i.test(thrown.message);

/** Did a server answer, and refuse who we are? */
export const isRefused = (thrown: unknown): boolean =>
  (thrown instanceof errors.AuthorizationError && !isLate(thrown)) ||
  thrown instanceof errors.UserAuthenticationExpiredError;

/** Did a server answer at all? An absent one explains less than one that cannot be used. */
export const isAnswer = (thrown: unknown): boolean => isRefused(thrown) || tlsTrouble(thrown, '') !== undefined;

/** What is wrong with TLS, if that is what is wrong, and what to do. */
function tlsTrouble(thrown: unknown, servers: string): readonly [kind: string, words: string] | undefined {
  const [code, text] = [codeOf(thrown), textOf(thrown)];
  if (untrusted.has(code)) {
    return [
      'untrusted',
      `the certificate of the NATS server at ${servers} is not trusted (${shortened(text)}): NATS_CA (ca) names the file of the CA that signed it`,
    ];
  }
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
    return [
      'not-valid-now',
      `the certificate of the NATS server at ${servers} is not valid now (${shortened(text)}): look at the clock here, or renew it there`,
    ];
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return [
      'other-name',
      `the certificate of the NATS server at ${servers} is for another name (${text}): use a name that it holds in the URL`,
    ];
  }
  if (text.includes("server does not support 'tls'")) {
    return [
      'no-tls',
      `the NATS server at ${servers} does no TLS, and tls:// or a CA or certificate asks for it: use nats:// and no NATS_CA, NATS_CERT, or let the server do TLS`,
    ];
  }
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER') {
    return ['no-tls-first', `the NATS server at ${servers} does not begin with TLS: leave tlsFirst (tls_first) out`];
  }
  if (/CERTIFICATE_REQUIRED|BAD_CERTIFICATE|HANDSHAKE_FAILURE|UNKNOWN_CA|CERTIFICATE_UNKNOWN/.test(code)) {
    return [
      'client-certificate',
      `the NATS server at ${servers} wants a certificate of this client that it trusts (${shortened(text)}): NATS_CERT and NATS_KEY name one`,
    ];
  }
  if (code.startsWith('ERR_SSL_') || code.startsWith('ERR_TLS_') || code.startsWith('ERR_OSSL_')) {
    return [
      'handshake',
      `TLS with the NATS server at ${servers} fails: ${shortened(text)}; look at NATS_CA, NATS_CERT and NATS_KEY`,
    ];
  }
  if (text.includes('node provided an undefined error')) {
    return [
      'hung-up',
      `the server at ${servers} hangs up without a word: it is no NATS server, or one that begins with TLS (handshake_first), for which tlsFirst: true, or tls_first in the context, is set`,
    ];
  }
  if (text.includes('unexpected response from server')) {
    return ['not-nats', `what answers at ${servers} is no NATS server: look at the port`];
  }
  return undefined;
}

/** Why no connection came about, and what to do: an absent server, one that refuses us, or one that speaks otherwise. */
export function connectError(thrown: unknown, asker: Asker): ZpsendError {
  const { servers, unused } = asker;
  const selected =
    unused === undefined ? '' : `; the selected context ${unused} is not used here, NATS_CONTEXT=${unused} names it`;
  if (isRefused(thrown)) return refused(textOf(thrown), asker, selected);
  const tls = tlsTrouble(thrown, servers);
  if (tls !== undefined) {
    const [kind, words] = tls;
    return new ZpsendError('UNREACHABLE', `${words}${selected}`, { reason: 'tls', tls: kind });
  }
  if (isLate(thrown)) {
    const what = `the NATS server at ${servers} waits no longer for the login (${textOf(thrown)}): it is overloaded, or its authorization.timeout is too short`;
    return new ZpsendError('UNREACHABLE', `${what}${selected}`, { reason: 'no-server' });
  }
  if (thrown instanceof errors.TimeoutError) {
    const what = `no NATS server answers at ${servers} in time, though something listens there: look at address and port`;
    return new ZpsendError('UNREACHABLE', `${what}${selected}`, { reason: 'no-server' });
  }
  return new ZpsendError(
    'UNREACHABLE',
    `no NATS server answers at ${servers}: ${textOf(thrown)}; start nats-server, or set NATS_URL (and NATS_CREDS, NATS_CA ...), ` +
      `or "nats:" in the configuration file${selected}`,
    { reason: 'no-server' },
  );
}

function refused(reply: string, { servers, identity }: Asker, selected: string): ZpsendError {
  const { words, expires } = identity ?? {};
  const who = words ?? 'a client without credentials';
  const isOver = expires !== undefined && expires.getTime() <= Date.now();
  const why = isOver ? `they expired on ${expires.toISOString()}; get new ones` : undefined;
  const mend =
    words === undefined
      ? 'set NATS_NKEY, NATS_CREDS, or NATS_USER and NATS_PASSWORD'
      : 'compare it with the users of that server (zpsend deploy permissions HOST prints one)';
  return new ZpsendError(
    'NOT_ALLOWED',
    `the NATS server at ${servers} refuses ${who} (${reply}): ${why ?? mend}${selected}`,
    { reason: 'login-refused' },
  );
}
