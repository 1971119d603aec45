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

/** Where this command is connected, and which place says so. */
export const checkNats = ({ server, found }: Bus): Check =>
  good('nats', `connected to ${server}: ${natsInWords(found)}`);

const settingPlaces =
  'NATS_*, /etc/zpsend/env, nats: in the configuration file, the selected nats context: the first of these that is set';

/** By why there is no connection. */
const connectRemedies: Partial<Record<Reason, string>> = {
  'no-server': 'start nats-server -js, or repair the address',
  'login-refused': `repair the user or the key, here (${settingPlaces}) or in the accounts of that server`,
  tls: `repair the address, the CA or the certificate (${settingPlaces})`,
};

/** There is no connection; the message says what to do, too. */
export function noNats(thrown: unknown): Check {
  const { message, reason } = ZpsendError.from(thrown);
  const remedy = (reason && connectRemedies[reason]) ?? 'repair what it names';
  return bad('nats', message, `${remedy}; the rows below are what can be checked without NATS`);
}

/** Replies arrive on an inbox; a user who may not subscribe to one can ask nothing. */
export function checkInbox(bus: Bus, host: string): Check[] {
  const own = inboxPrefix(host);
  if (bus.inbox === 'usual') return [];
  if (bus.inbox === 'own') {
    const found = `replies use ${own}.>, since this user may not subscribe to _INBOX.>`;
    return [note('inbox', found, `set ZPSEND_INBOX_PREFIX=${own} (nats.inboxPrefix), which spares the attempt`)];
  }
  const prefix = bus.options.inboxPrefix;
  if (prefix !== undefined && prefix !== own) {
    const found = `this user may not hear answers on ${prefix}.>, so nothing can be asked`;
    return [
      bad('inbox', found, `set ZPSEND_INBOX_PREFIX (inboxPrefix) to that of this user; for ${host} it is ${own}`),
    ];
  }
  return [notThisHost(bus, host, `it may not subscribe to ${own}.>`)];
}

/** The key of another host is no lack of permissions, and more of them would be the wrong cure. */
function notThisHost({ found }: Bus, host: string, why: string): Check {
  const who = identityOf(found.settings)?.words ?? 'no credentials';
  const remedy = `use the key of ${host} here, or name the host that this key is of (ZPSEND_HOST, host:); else ${permissionsRemedy(host)}`;
  return bad('permissions', `this NATS user is not ${host}: ${why} (${who})`, remedy);
}

/** What this host may do on the bus shows when it is tried: the server refuses in the background, and says so. */
export async function checkPermissions(bus: Bus, host: string, refusals: readonly string[]): Promise<Check> {
  const before = refusals.length;
  onEvents(bus, subjects.event(host, 'job', '*'), z.unknown(), () => {})();
  // the answer, or that there is none, comes after the refusals on the same connection
  await request(bus, subjects.info(host), {}, infoSchema).catch(() => {});
  const refused = refusals.slice(before).filter((text) => /permission/i.test(text));
  if (refused.length === 0) return good('permissions', `zfs.${host}.> can be used`);
  if (refused.some((text) => text.includes(`"${subjects.event(host, 'job', '*')}"`))) {
    return notThisHost(bus, host, `it may not subscribe to zfs.${host}.>`);
  }
  return bad('permissions', refused.join('; '), permissionsRemedy(host));
}
