import { z } from 'zod';
import type { Bus } from '../lib/bus/connect.ts';
import { onEvents } from '../lib/bus/events.ts';
import { openBucket, stateOf } from '../lib/bus/kv-bucket.ts';
import { request } from '../lib/bus/request.ts';
import { locksBucket, statusBucket, subjects } from '../lib/bus/subjects.ts';
import { ZpsendError } from '../schemas/errors.ts';
import { type Info, infoSchema } from '../schemas/host.ts';
import type { Check } from '../schemas/output.ts';
import type { Cli } from './cli.ts';
import { discoverHosts } from './discover.ts';
import { bytes } from './format.ts';
import { checkPools } from './pool-checks.ts';
import { startPrivate } from './private-sender.ts';

const good = (what: string, found: string): Check => ({ what, result: 'good', found });
const note = (what: string, found: string, mend: string): Check => ({ what, result: 'note', found, mend });
const bad = (what: string, found: string, mend: string): Check => ({ what, result: 'bad', found, mend });

const messageOf = (thrown: unknown): string => ZpsendError.from(thrown).message;

export function checkNode(version: string): Check {
  const major = Number(/^v(\d+)/.exec(version)?.[1] ?? 0);
  return major >= 24 ? good('node', version) : bad('node', version, 'install Node.js 24 or later');
}

const accountSchema = z.looseObject({
  error: z.looseObject({ description: z.string() }).optional(),
  storage: z.number().optional(),
  limits: z.looseObject({ max_storage: z.number() }).optional(),
});

/** JetStream holds the locks; without it nothing can be received. */
export async function checkJetStream(bus: Bus): Promise<Check> {
  const mend = 'start nats-server with -js (or a "jetstream {}" block), and enable it for this account';
  try {
    const account = await request(bus, '$JS.API.INFO', {}, accountSchema);
    if (account.error) return bad('jetstream', account.error.description, mend);
    const most = account.limits?.max_storage ?? -1;
    return good(
      'jetstream',
      `${bytes(account.storage ?? 0)} stored, ${most < 0 ? 'no limit' : `limit ${bytes(most)}`}`,
    );
  } catch (thrown) {
    return bad('jetstream', messageOf(thrown), mend);
  }
}

/** The bucket of locks: a receiver makes it, and whoever has edited it since may have made it less than is needed. */
export async function checkLocks(bus: Bus): Promise<Check> {
  const edit = `nats stream edit KV_${locksBucket}`;
  try {
    const state = await stateOf(await openBucket(bus, locksBucket));
    if (!state) return good('locks', `none yet: the first receiver makes the bucket ${locksBucket}`);
    const { ttl, replicas, clustered } = state;
    const copies = replicas === 1 ? '1 copy' : `${replicas} copies`;
    const found = `${locksBucket} has ${copies}, and a lock expires after ${ttl / 1000} s`;
    if (ttl <= 0) return bad('locks', `in ${locksBucket} locks never expire`, `${edit} --max-age 30s`);
    if (!clustered || replicas > 1) return good('locks', found);
    const mend = `while the server that has it is down nothing can be received; with three servers: ${edit} --replicas 3`;
    return note('locks', found, mend);
  } catch (thrown) {
    return bad('locks', messageOf(thrown), 'see jetstream above, or whether this user may use $JS.API.>');
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
    const mend = `what is not sent for so long shall be seen above all: nats stream edit KV_${statusBucket} --max-age 0s`;
    return note('status', `in ${statusBucket} entries expire after ${ttl / 1000} s`, mend);
  } catch (thrown) {
    return note('status', messageOf(thrown), 'see jetstream above, or whether this user may read it');
  }
}

export async function checkHosts(bus: Bus): Promise<Check> {
  const hosts = await discoverHosts(bus);
  if (hosts.length > 0) return good('hosts', hosts.join(', '));
  return note('hosts', 'none answers', 'start a receiver where snapshots shall go: zpsend receiver');
}

/** What this host may do on the bus shows when it is tried: the server refuses in the background, and says so. */
export async function checkPermissions(bus: Bus, host: string, refusals: readonly string[]): Promise<Check> {
  const before = refusals.length;
  onEvents(bus, subjects.event(host, 'job', '*'), z.unknown(), () => {})();
  // the answer, or that there is none, comes after the refusals on the same connection
  await request(bus, subjects.info(host), {}, infoSchema).catch(() => {});
  const refused = refusals.slice(before).filter((text) => /permission/i.test(text));
  if (refused.length === 0) return good('permissions', `zfs.${host}.> can be used`);
  return bad(
    'permissions',
    refused.join('; '),
    `allow this user zfs.>, zfs-data.>, zfs-credit.>, $SRV.>, $KV.zfs-locks.>, $KV.zfs-status.> and $JS.API.> on the NATS server`,
  );
}

/** What this host's service says of ZFS; where none runs, a sender started for the purpose. */
export async function checkZfs(cli: Cli, bus: Bus, host: string): Promise<Check[]> {
  try {
    const info = await request(bus, subjects.info(host), {}, infoSchema);
    const services = info.instances.map(({ service, version }) => `${service} ${version}`).join(', ');
    return [good('service', `${services} on ${host}`), ...zfsChecks(info)];
  } catch {
    const mend = `to receive here run zpsend receiver; to send from here a command starts its own sender`;
    return [note('service', `none answers for ${host}`, mend), ...(await askPrivate(cli, bus, host))];
  }
}

async function askPrivate(cli: Cli, bus: Bus, host: string): Promise<Check[]> {
  try {
    const own = await startPrivate(cli);
    try {
      return zfsChecks(await request(bus, subjects.instance(subjects.info(host), own.instance), {}, infoSchema));
    } finally {
      await own.stop();
    }
  } catch (thrown) {
    return [bad('zfs', messageOf(thrown), 'mend what it says; ZPSEND_LOG=people shows more')];
  }
}

function zfsChecks({ zfs, zfsError, pools }: Info): Check[] {
  if (zfs === undefined) {
    return [bad('zfs', zfsError ?? 'does not answer', 'install OpenZFS, and run as a user who may use it (zfs allow)')];
  }
  return [good('zfs', zfs), ...checkPools(pools)];
}
