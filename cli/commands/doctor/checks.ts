import { z } from 'zod';
import type { Bus } from '../../../lib/bus/connection/connect.ts';
import { strangerAmong } from '../../../lib/bus/hosts/claim.ts';
import { openBucket, stateOf } from '../../../lib/bus/jetstream/kv-bucket.ts';
import { request } from '../../../lib/bus/rpc/request.ts';
import { locksBucket, statusBucket, subjects } from '../../../lib/bus/subjects.ts';
import type { SendConfig } from '../../../schemas/config.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { type Info, infoSchema } from '../../../schemas/host.ts';
import { shortMachine } from '../../../schemas/machine.ts';
import type { Check } from '../../../schemas/output.ts';
import { discoverMachines } from '../../client/find-hosts.ts';
import { nameRemedy } from '../../client/name-faults.ts';
import type { Cli } from '../../context.ts';
import { bytes, counted } from '../../output/format.ts';
import { bad, good, note, permissionsRemedy } from './check.ts';
import { checkNames } from './machines.ts';
import { checkPools } from './pools.ts';

const messageOf = (thrown: unknown): string => ZpsendError.from(thrown).message;

const accountSchema = z.looseObject({
  error: z.looseObject({ description: z.string() }).optional(),
  storage: z.number().optional(),
  limits: z.looseObject({ max_storage: z.number() }).optional(),
});

/** The locks are in JetStream: without it nothing can be received. */
export async function checkJetStream(bus: Bus, host: string): Promise<Check> {
  const remedy = 'start nats-server with -js (or a jetstream {} block), and enable JetStream for this account';
  try {
    const account = await request(bus, '$JS.API.INFO', {}, accountSchema);
    if (account.error) return bad('jetstream', account.error.description, remedy);
    const most = account.limits?.max_storage ?? -1;
    return good(
      'jetstream',
      `${bytes(account.storage ?? 0)} stored, ${most < 0 ? 'no limit' : `limit ${bytes(most)}`}`,
    );
  } catch (thrown) {
    const { message, reason } = ZpsendError.from(thrown);
    if (reason === 'no-responders')
      return bad('jetstream', `${bus.server} has no JetStream, or not for this account`, remedy);
    // without permission for the request it is unknown whether there is a JetStream
    return bad('jetstream', message, permissionsRemedy(host));
  }
}

/** The bucket of locks. A receiver creates it; later edits may have broken it. */
export async function checkLocks(bus: Bus): Promise<Check> {
  const edit = `nats stream edit KV_${locksBucket}`;
  try {
    const state = await stateOf(await openBucket(bus, locksBucket));
    if (!state) return good('locks', `no bucket ${locksBucket} yet: the first receiver creates it`);
    const { ttl, replicas, clustered, trace } = state;
    const copies = counted(replicas, 'replica');
    const found = `${locksBucket} has ${copies}, and its locks expire after ${ttl / 1000} s`;
    if (ttl <= 0) return bad('locks', `locks in ${locksBucket} never expire`, `${edit} --max-age 30s`);
    if (clustered && replicas === 1) {
      const remedy = `while its server is down nothing can be received. With three servers: ${edit} --replicas 3`;
      return note('locks', found, remedy);
    }
    if (trace.oldestGoFirst) return good('locks', found);
    const waits = 'its entries can be deleted, so a first lock waits up to 3.5 s while others receive';
    return note(
      'locks',
      `${found}; ${waits}`,
      `zpsend deploy setup --edit, or: ${edit} --no-allow-rollup --deny-delete --deny-purge`,
    );
  } catch (thrown) {
    return bad(
      'locks',
      messageOf(thrown),
      'see jetstream above; zpsend deploy permissions prints the permissions of a host',
    );
  }
}

/** The bucket of dataset statuses. Without it jobs run, but zpsend status shows nothing. */
export async function checkStatus(bus: Bus): Promise<Check> {
  try {
    const state = await stateOf(await openBucket(bus, statusBucket));
    const make = `the first job of a sender creates it if it may. Otherwise: nats kv add ${statusBucket} --history 1 --replicas 3`;
    if (!state) return note('status', `no bucket ${statusBucket} yet`, make);
    const { ttl, replicas } = state;
    if (ttl === 0) return good('status', `${statusBucket} has ${counted(replicas, 'replica')}`);
    const remedy = `a replication that stopped would disappear from zpsend status: nats stream edit KV_${statusBucket} --max-age 0s`;
    return note('status', `entries in ${statusBucket} expire after ${ttl / 1000} s`, remedy);
  } catch (thrown) {
    return note('status', messageOf(thrown), 'see jetstream above, and whether this user may read the bucket');
  }
}

export async function checkHosts(bus: Bus): Promise<Check[]> {
  const hosts = await discoverMachines(bus);
  if (hosts.size > 0) return [good('hosts', [...hosts.keys()].join(', ')), ...(await checkNames(bus, hosts))];
  return [note('hosts', 'no host answers', 'start a receiver on the target host: zpsend receiver')];
}

/** ZFS as this host's service sees it; if no service answers, as this command sees it. */
export async function checkZfs(cli: Cli, bus: Bus, host: string): Promise<Check[]> {
  try {
    const info = await request(bus, subjects.info(host), {}, infoSchema);
    const stranger = bus.self && strangerAmong(bus.self.machine, [info.machine]);
    if (stranger) {
      const found = `the service that answers for ${host} runs on another machine, ${shortMachine(stranger, bus.self?.machine)}`;
      return [bad('service', found, nameRemedy(host))];
    }
    const services = info.instances.map(({ service, version }) => `${service} ${version}`).join(', ');
    return [good('service', `${services} on ${host}`), ...zfsChecks(info)];
  } catch {
    const remedy = 'to receive here, run zpsend receiver; to send from here, no service is needed';
    return [note('service', `no service answers for ${host}`, remedy), ...(await checkLocalZfs(cli, host))];
  }
}

/** Which datasets the sender of this host sends, and to which hosts. */
export async function checkSendAllow(bus: Bus, host: string, allow: SendConfig['allow'] | undefined): Promise<Check[]> {
  const info = await request(bus, subjects.info(host), {}, infoSchema).catch(() => undefined);
  if (!info?.instances.some(({ service }) => service === 'sender')) return [];
  if (allow) return [good('send', `send.allow has ${counted(allow.length, 'rule')}`)];
  const found = `every user who may publish on ${subjects.send(host, 'start')} can send any dataset of ${host} to any host, unencrypted too`;
  const remedy =
    'limit it with send.allow in the configuration file: [{ dataset: zones/vm, to: smos-00, raw: required }]';
  return [note('send', found, remedy)];
}

/** ZFS as this command sees it, with the rights of its user. */
export const checkLocalZfs = async (cli: Cli, host: string): Promise<Check[]> =>
  zfsChecks(await cli.local.zfsFacts(host));

function zfsChecks({ zfs, zfsError, pools }: Pick<Info, 'zfs' | 'zfsError' | 'pools'>): Check[] {
  if (zfs === undefined)
    return [
      bad('zfs', zfsError ?? 'zfs does not answer', 'correct what the message names, until zfs version works here'),
    ];
  return [good('zfs', zfs), ...checkPools(pools)];
}
