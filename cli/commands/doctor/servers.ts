import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { accountOf, isStrict, releaseFaults } from '../../../lib/bus/connection/server-release.ts';
import { gather } from '../../../lib/bus/rpc/request.ts';
import { boundless } from '../../../lib/bus/setup/boundless.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { adminsAccount, viewerAccount } from '../../../lib/deploy/parties.ts';
import { timing } from '../../../lib/time/timing.ts';
import { infoSchema } from '../../../schemas/host.ts';
import type { Check } from '../../../schemas/output.ts';
import { discoveredHosts } from '../../client/find-hosts.ts';
import { bad, good, note } from './check.ts';

/** The release of the server, and whether its JetStream refuses what it does not know. */
export async function checkServer(bus: Bus): Promise<Check[]> {
  const version = bus.nc.info?.version ?? '';
  const strict = await isStrict(bus);
  const faults = releaseFaults(version).filter(({ what }) => what !== 'not strict' || strict !== true);
  const rows = faults.map(({ words }) =>
    note('nats-server', `nats-server ${version} ${words}`, 'run 2.14.3 or later, or 2.12.12 or later of 2.12'),
  );
  const loose =
    'its JetStream takes requests with fields that are none (strict: false), and so an answer for a request';
  if (strict === false && !faults.some(({ what }) => what === 'not strict'))
    rows.push(note('nats-server', loose, 'jetstream { strict: true } in the configuration of the servers'));
  return rows.length > 0 ? rows : [good('nats-server', version)];
}

/** What others of this account may do is not known to this user, but who answers discovery is in it: nothing else imports that. */
export async function checkAccount(bus: Bus, host: string): Promise<Check[]> {
  const others = (await discoveredHosts(bus)).filter((other) => other !== host);
  if (others.length === 0) return [];
  const account = await accountOf(bus);
  if (account === adminsAccount || account?.startsWith(viewerAccount(''))) return [];
  const found = `${others.join(', ')} ${others.length === 1 ? 'is' : 'are'} in the account of ${host}${account ? ` (${account})` : ''}: hosts of one account trust each other with everything`;
  return [note('account', found, 'zpsend deploy accounts prints servers with an account for each host')];
}

/** What any host that may write there could fill. */
export async function checkBounds(bus: Bus): Promise<Check[]> {
  const open = await boundless(bus).catch(() => []);
  if (open.length === 0) return [];
  const found = `${open.join(', ')}: without bounds, so that any user who may write there can fill the servers`;
  return [note('bounds', found, 'zpsend deploy setup --edit, as an admin, with the file of the fleet')];
}

/** One request to a queue group has one answer. */
export async function checkAnswers(bus: Bus, host: string): Promise<Check[]> {
  const { length } = await gather(bus, subjects.info(host), {}, infoSchema, timing.cli.answersMs).catch(() => []);
  if (length < 2) return [];
  const found = `one request to ${host} is answered ${length} times: the servers give it to several instances (nats-server#5802)`;
  return [bad('answers', found, 'import each subject at one server only, as zpsend deploy accounts prints it')];
}
