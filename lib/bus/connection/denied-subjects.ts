import { hasReason, type Reasoned, ZpsendError } from '../../../schemas/errors.ts';
import type { Bus } from './connect.ts';
import { identityOf } from './options.ts';

/** The identity of the connection; "this user" if its key cannot be read any more. */
function identityWords({ found }: Pick<Bus, 'found'>): string {
  try {
    return identityOf(found.settings)?.words ?? 'a client without credentials';
  } catch {
    return 'this user';
  }
}

/**
 * The NATS server denies a service the subjects of its host, so it receives no requests.
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
    `the NATS server at ${bus.server} does not let ${identityWords(bus)} subscribe to ${what}, so requests to ${host} do not arrive here. ` +
      `Use the key of ${host} on this machine, or set the name of the host that owns this key (host: in the configuration file, or ZPSEND_HOST). ` +
      `If it is the key of ${host}, give its user the permissions that zpsend deploy permissions ${host} prints, or, ` +
      'if each host has an account, those of zpsend deploy accounts FLEET.yaml',
    { reason: 'subscription-denied', host, subject },
  );
}

/** Is it such an error? An administrator has to correct the key or the permissions. */
export const isDeniedEndpoint = (error: Reasoned): boolean => hasReason(error, 'NOT_ALLOWED', 'subscription-denied');
