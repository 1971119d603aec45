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

/** The release of the server, and whether its JetStream refuses unknown fields. */
export async function checkServer(bus: Bus): Promise<Check[]> {
  const version = bus.nc.info?.version ?? '';
  const strict = await isStrict(bus);
  const faults = releaseFaults(version).filter(({ what }) => what !== 'not strict' || strict !== true);
  const rows = faults.map(({ words }) =>
    note('nats-server', `nats-server ${version} ${words}`, 'install 2.14.3 or later, or 2.12.12 or later of 2.12'),
  );
  const loose =
    'its JetStream accepts unknown fields in requests (strict: false), so it can take a reply for a request';
  if (strict === false && !faults.some(({ what }) => what === 'not strict'))
    rows.push(note('nats-server', loose, 'set jetstream { strict: true } in the configuration of the servers'));
  return rows.length > 0 ? rows : [good('nats-server', version)];
}

/** Other hosts in this account: only hosts of one account answer each other's discovery. */
export async function checkAccount(bus: Bus, host: string): Promise<Check[]> {
  const others = (await discoveredHosts(bus)).filter((other) => other !== host);
  if (others.length === 0) return [];
  const account = await accountOf(bus);
  if (account === adminsAccount || account?.startsWith(viewerAccount(''))) return [];
  const found = `${others.join(', ')} ${others.length === 1 ? 'is' : 'are'} in the account of ${host}${account ? ` (${account})` : ''}. Hosts in one account trust each other with everything`;
  return [note('account', found, 'zpsend deploy accounts prints a configuration with an account for each host')];
}

/** Buckets without bounds, which any host that may write there could fill. */
export async function checkBounds(bus: Bus): Promise<Check[]> {
  const open = await boundless(bus).catch(() => []);
  if (open.length === 0) return [];
  const found = `${open.join(', ')}: no size limit, so any user who may write there can fill the servers`;
  return [note('bounds', found, 'run zpsend deploy setup FLEET.yaml --edit as an admin')];
}

/** A request to a queue group must have one reply. */
export async function checkAnswers(bus: Bus, host: string): Promise<Check[]> {
  const { length } = await gather(bus, subjects.info(host), {}, infoSchema, timing.cli.answersMs).catch(() => []);
  if (length < 2) return [];
  const found = `one request to ${host} has ${length} replies: the servers deliver it to several instances (nats-server#5802)`;
  return [bad('answers', found, 'import each subject on one server only, as zpsend deploy accounts does')];
}
