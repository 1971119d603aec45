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
import { bytes } from '../../output/format.ts';
import { bad, good, note, permissionsRemedy } from './check.ts';
import { checkNames } from './machines.ts';
import { checkPools } from './pools.ts';

const messageOf = (thrown: unknown): string => ZpsendError.from(thrown).message;

const accountSchema = z.looseObject({
  error: z.looseObject({ description: z.string() }).optional(),
  storage: z.number().optional(),
  limits: z.looseObject({ max_storage: z.number() }).optional(),
});

/** JetStream holds the locks; without it nothing can be received. */
export async function checkJetStream(bus: Bus, host: string): Promise<Check> {
  const remedy = 'start nats-server with -js (or a "jetstream {}" block), and enable it for this account';
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
    if (reason === 'no-responders') return bad('jetstream', `${bus.server} has none, or not for this account`, remedy);
    // the server says of a request that it may not be made; whether there is a JetStream is not known then
    return bad('jetstream', message, permissionsRemedy(host));
  }
}

/** The bucket of locks: a receiver makes it, and whoever has edited it since may have made it less than is needed. */
export async function checkLocks(bus: Bus): Promise<Check> {
  const edit = `nats stream edit KV_${locksBucket}`;
  try {
    const state = await stateOf(await openBucket(bus, locksBucket));
    if (!state) return good('locks', `none yet: the first receiver makes the bucket ${locksBucket}`);
    const { ttl, replicas, clustered, trace } = state;
    const copies = replicas === 1 ? '1 copy' : `${replicas} copies`;
    const found = `${locksBucket} has ${copies}, and a lock expires after ${ttl / 1000} s`;
    if (ttl <= 0) return bad('locks', `in ${locksBucket} locks never expire`, `${edit} --max-age 30s`);
    if (clustered && replicas === 1) {
      const remedy = `while the server that has it is down nothing can be received; with three servers: ${edit} --replicas 3`;
      return note('locks', found, remedy);
    }
    if (trace.oldestGoFirst) return good('locks', found);
    const waits = 'its entries can be taken away, so a first lock waits up to 3.5 s while others receive';
    return note(
      'locks',
      `${found}; ${waits}`,
      `zpsend deploy setup --edit, or: ${edit} --no-allow-rollup --deny-delete --deny-purge`,
    );
  } catch (thrown) {
    return bad('locks', messageOf(thrown), 'see jetstream above; zpsend deploy permissions prints what a host may do');
  }
}

/** The bucket of status: without it jobs run, and nobody sees how far everything is. */
export async function checkStatus(bus: Bus): Promise<Check> {
  try {
    const state = await stateOf(await openBucket(bus, statusBucket));
    const make = `the first job of a sender makes it where it may; else: nats kv add ${statusBucket} --history 1 --replicas 3`;
    if (!state) return note('status', `there is no bucket ${statusBucket}`, make);
    const { ttl, replicas } = state;
    if (ttl === 0) return good('status', `${statusBucket} has ${replicas === 1 ? '1 copy' : `${replicas} copies`}`);
    const remedy = `what is not sent for so long shall be seen above all: nats stream edit KV_${statusBucket} --max-age 0s`;
    return note('status', `in ${statusBucket} entries expire after ${ttl / 1000} s`, remedy);
  } catch (thrown) {
    return note('status', messageOf(thrown), 'see jetstream above, or whether this user may read it');
  }
}

export async function checkHosts(bus: Bus): Promise<Check[]> {
  const hosts = await discoverMachines(bus);
  if (hosts.size > 0) return [good('hosts', [...hosts.keys()].join(', ')), ...(await checkNames(bus, hosts))];
  return [note('hosts', 'none answers', 'start a receiver where snapshots shall go: zpsend receiver')];
}

/** What this host's service says of ZFS; where none answers, what this machine says itself. */
export async function checkZfs(cli: Cli, bus: Bus, host: string): Promise<Check[]> {
  try {
    const info = await request(bus, subjects.info(host), {}, infoSchema);
    const stranger = bus.self && strangerAmong(bus.self.machine, [info.machine]);
    if (stranger) {
      const found = `what answers for ${host} runs on another machine, ${shortMachine(stranger, bus.self?.machine)}`;
      return [bad('service', found, nameRemedy(host))];
    }
    const services = info.instances.map(({ service, version }) => `${service} ${version}`).join(', ');
    return [good('service', `${services} on ${host}`), ...zfsChecks(info)];
  } catch {
    const remedy = `to receive here run zpsend receiver; to send from here a command starts its own sender`;
    return [note('service', `none answers for ${host}`, remedy), ...(await checkLocalZfs(cli, host))];
  }
}

/** What a sender of this host would send, and to whom. */
export async function checkSendAllow(bus: Bus, host: string, allow: SendConfig['allow'] | undefined): Promise<Check[]> {
  const info = await request(bus, subjects.info(host), {}, infoSchema).catch(() => undefined);
  if (!info?.instances.some(({ service }) => service === 'sender')) return [];
  if (allow) return [good('send', `sends what ${allow.length} rules of send.allow name`)];
  const found = `sends every dataset to every host, plain too: each user who may publish on ${subjects.send(host, 'start')} decides`;
  const remedy = 'send.allow in the configuration file bounds it: [{ dataset: zones/vm, to: smos-00, raw: required }]';
  return [note('send', found, remedy)];
}

/** What this machine itself says of ZFS, as the user who asks. */
export const checkLocalZfs = async (cli: Cli, host: string): Promise<Check[]> =>
  zfsChecks(await cli.local.zfsFacts(host));

function zfsChecks({ zfs, zfsError, pools }: Pick<Info, 'zfs' | 'zfsError' | 'pools'>): Check[] {
  if (zfs === undefined)
    return [bad('zfs', zfsError ?? 'does not answer', 'as it says; then zfs version answers here')];
  return [good('zfs', zfs), ...checkPools(pools)];
}
