import { z } from 'zod';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { identityOf } from '../../../lib/bus/connection/options.ts';
import { onEvents } from '../../../lib/bus/events/events.ts';
import { inboxPrefix } from '../../../lib/bus/permissions.ts';
import { request } from '../../../lib/bus/rpc/request.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { type Reason, ZpsendError } from '../../../schemas/errors.ts';
import { infoSchema } from '../../../schemas/host.ts';
import type { Check } from '../../../schemas/output.ts';
import { natsInWords } from '../../output/nats.ts';
import { bad, good, note, permissionsRemedy } from './check.ts';

/** The NATS server of this command, and the source of its settings. */
export const checkNats = ({ server, found }: Bus): Check =>
  good('nats', `connected to ${server}: ${natsInWords(found)}`);

const settingSources =
  'the first that is set: NATS_*, /etc/zpsend/env, nats: in the configuration file, the selected nats context';

/** By the reason of the failure. */
const connectRemedies: Partial<Record<Reason, string>> = {
  'no-server': 'start nats-server -js, or correct the address',
  'login-refused': `correct the user or the key, here (${settingSources}) or in the accounts of that server`,
  tls: `correct the address, the CA or the certificate (${settingSources})`,
};

/** There is no connection. */
export function noNats(thrown: unknown): Check {
  const { message, reason } = ZpsendError.from(thrown);
  const remedy = (reason && connectRemedies[reason]) ?? 'correct what the message names';
  return bad('nats', message, `${remedy}. The rows below need no NATS`);
}

/** Replies arrive on an inbox: without permission to subscribe to one, no request has an answer. */
export function checkInbox(bus: Bus, host: string): Check[] {
  const own = inboxPrefix(host);
  if (bus.inbox === 'usual') return [];
  if (bus.inbox === 'own') {
    const found = `replies use ${own}.>, since this user may not subscribe to _INBOX.>`;
    return [note('inbox', found, `set ZPSEND_INBOX_PREFIX=${own} (nats.inboxPrefix) to skip the attempt`)];
  }
  const prefix = bus.options.inboxPrefix;
  if (prefix !== undefined && prefix !== own) {
    const found = `this user may not subscribe to ${prefix}.>, so no reply reaches it`;
    return [
      bad('inbox', found, `set ZPSEND_INBOX_PREFIX (nats.inboxPrefix) to the prefix of this user; ${host} has ${own}`),
    ];
  }
  return [notThisHost(bus, host, `it may not subscribe to ${own}.>`)];
}

/** The key of another host: more permissions would be the wrong remedy. */
function notThisHost({ found }: Bus, host: string, why: string): Check {
  const who = identityOf(found.settings)?.words ?? 'no credentials';
  const remedy = `use the key of ${host} here, or set the host name that belongs to this key (ZPSEND_HOST, host:). Otherwise ${permissionsRemedy(host)}`;
  return bad('permissions', `this NATS user is not ${host}: ${why} (${who})`, remedy);
}

/** The server reports a missing permission only after an attempt, and asynchronously. */
export async function checkPermissions(bus: Bus, host: string, refusals: readonly string[]): Promise<Check> {
  const before = refusals.length;
  onEvents(bus, subjects.event(host, 'job', '*'), z.unknown(), () => {})();
  // the reply comes after the refusals, on the same connection
  await request(bus, subjects.info(host), {}, infoSchema).catch(() => {});
  const refused = refusals.slice(before).filter((text) => /permission/i.test(text));
  if (refused.length === 0) return good('permissions', `this user may use zfs.${host}.>`);
  if (refused.some((text) => text.includes(`"${subjects.event(host, 'job', '*')}"`))) {
    return notThisHost(bus, host, `it may not subscribe to zfs.${host}.>`);
  }
  return bad('permissions', refused.join('; '), permissionsRemedy(host));
}
