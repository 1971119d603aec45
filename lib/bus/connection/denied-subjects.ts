import { hasReason, type Reasoned, ZpsendError } from '../../../schemas/errors.ts';
import type { Bus } from './connect.ts';
import { identityOf } from './options.ts';

/** Of a key that cannot be read any more nothing is known. */
function whoAsks({ found }: Pick<Bus, 'found'>): string {
  try {
    return identityOf(found.settings)?.words ?? 'a client without credentials';
  } catch {
    return 'this user';
  }
}

/**
 * The NATS server denies a service the subjects of its own host, so no requests come to it.
 * @param denied at least one subject
 */
export function deniedEndpoints(
  bus: Pick<Bus, 'found' | 'server'>,
  host: string,
  denied: readonly string[],
): ZpsendError {
  const [subject = '', ...more] = denied;
  const what = more.length === 0 ? subject : `${subject} and ${more.length} more of zfs.${host}.>`;
  return new ZpsendError(
    'NOT_ALLOWED',
    `the NATS server at ${bus.server} does not let ${whoAsks(bus)} subscribe to ${what}, so requests to ${host} do not come here. ` +
      `Use the key of ${host} on this machine, or name the host that this key is of (host: in the configuration file, or ZPSEND_HOST). ` +
      `Where it is the key of ${host}, give its user what zpsend deploy permissions ${host} prints, or zpsend deploy accounts FLEET.yaml ` +
      'where each host has an account',
    { reason: 'subscription-denied', host, subject },
  );
}

/** Is it such an error? It passes only when an administrator mends the key or the permissions. */
export const isDeniedEndpoint = (error: Reasoned): boolean => hasReason(error, 'NOT_ALLOWED', 'subscription-denied');
