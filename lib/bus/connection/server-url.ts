import { isIPv6 } from 'node:net';
import { ZpsendError } from '../../../schemas/errors.ts';

/** One server of a URL, with what stood before its "@". */
export interface ServerUrl {
  /** With its scheme where it has one; never a secret. */
  readonly address: string;
  readonly user?: string | undefined;
  /** Undefined where a user without a password stands there, which is a token. */
  readonly password?: string | undefined;
}

const form = 'nats://HOST:4222, or tls://HOST:4222';
const isHostAndPort = (address: string): boolean =>
  isIPv6(address) || /^(\[[0-9A-Fa-f:.]+(%\w+)?\]|[^\s:@/?#%[\]]+)(:\d{1,5})?$/.test(address);

/**
 * The servers of a URL, with commas between several. What stands before the last "@" of each is a user and a password, or a token.
 * @param source the place that says it, for errors; they show nothing of the URL, since any part may belong to a password
 * @throws ZpsendError BAD_REQUEST for what is no address
 */
export function serversIn(url: string, source: string): ServerUrl[] {
  const bad = (what: string): ZpsendError => new ZpsendError('BAD_REQUEST', `${source}: ${what}`);
  const decoded = (text: string): string => {
    try {
      return decodeURIComponent(text);
    } catch {
      throw bad('in the URL, what stands before the "@" is not percent-encoded');
    }
  };
  return url.split(',').map((text, at) => {
    const [, scheme = '', rest = ''] = /^([A-Za-z][A-Za-z0-9+.-]*:\/\/)?(.*)$/s.exec(text.trim()) ?? [];
    if (!['', 'nats://', 'tls://'].includes(scheme.toLowerCase())) {
      throw bad(`a URL of another kind is no address of NATS: ${form}`);
    }
    const end = rest.lastIndexOf('@');
    const address = rest.slice(end + 1).replace(/\/$/, '');
    if (address === '') throw bad('an address is missing in the URL');
    // without a scheme it may be the end of a password with a comma
    if (!isHostAndPort(address) || (end >= 0 && at > 0 && scheme === '')) throw bad(unclear);
    if (end < 0) return { address: scheme + address };
    const [, user = '', password] = /^([^:]*)(?::(.*))?$/s.exec(rest.slice(0, end)) ?? [];
    return { address: scheme + address, user: decoded(user), password: password && decoded(password) };
  });
}

const unclear =
  `the URL is not clear: each server is ${form}, with a password percent-encoded (%40 for "@", %2F for "/", %2C for ",") ` +
  'or given apart, as NATS_USER and NATS_PASSWORD';
