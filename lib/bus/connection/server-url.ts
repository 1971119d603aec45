import { isIPv6 } from 'node:net';
import { ZpsendError } from '../../../schemas/errors.ts';

/** One server of a URL, with the user and the password before its "@". */
export interface ServerUrl {
  /** With its scheme, if it has one; never contains a secret. */
  readonly address: string;
  readonly user?: string | undefined;
  /** Undefined if the URL has only a user, which is a token. */
  readonly password?: string | undefined;
}

const form = 'nats://HOST:4222, or tls://HOST:4222';
const isHostAndPort = (address: string): boolean =>
  isIPv6(address) || /^(\[[0-9A-Fa-f:.]+(%\w+)?\]|[^\s:@/?#%[\]]+)(:\d{1,5})?$/.test(address);

/**
 * The servers of a comma-separated URL. The part before the last "@" of each is a user and a password, or a token.
 * @param source where the URL is set, for errors; they show nothing of the URL, since any part may belong to a password
 * @throws ZpsendError BAD_REQUEST for an invalid address
 */
export function serversIn(url: string, source: string): ServerUrl[] {
  const bad = (what: string): ZpsendError => new ZpsendError('BAD_REQUEST', `${source}: ${what}`);
  const decoded = (text: string): string => {
    try {
      return decodeURIComponent(text);
    } catch {
      throw bad('in the URL, the part before the "@" is not percent-encoded');
    }
  };
  return url.split(',').map((text, at) => {
    const [, scheme = '', rest = ''] = /^([A-Za-z][A-Za-z0-9+.-]*:\/\/)?(.*)$/s.exec(text.trim()) ?? [];
    if (!['', 'nats://', 'tls://'].includes(scheme.toLowerCase())) {
      throw bad(`the scheme of the URL is not one of NATS: use ${form}`);
    }
    const end = rest.lastIndexOf('@');
    const address = rest.slice(end + 1).replace(/\/$/, '');
    if (address === '') throw bad('the URL lacks an address');
    // without a scheme, it may be the rest of a password that contains a comma
    if (!isHostAndPort(address) || (end >= 0 && at > 0 && scheme === '')) throw bad(unclear);
    if (end < 0) return { address: scheme + address };
    const [, user = '', password] = /^([^:]*)(?::(.*))?$/s.exec(rest.slice(0, end)) ?? [];
    return { address: scheme + address, user: decoded(user), password: password && decoded(password) };
  });
}

const unclear =
  `the URL is ambiguous: write each server as ${form}, and percent-encode the password (%40 for "@", %2F for "/", %2C for ","), ` +
  'or set NATS_USER and NATS_PASSWORD instead';
