import { execa } from 'execa';
import { expect } from 'vitest';
import { readCatalog } from '../../lib/bus/channel/store/manifests.ts';
import type { StreamsBucket } from '../../lib/bus/channel/store/object-bucket.ts';
import { openLocks } from '../../lib/bus/locks/locks.ts';
import { readStatus } from '../../lib/bus/status/read.ts';
import { parseStoredName } from '../../lib/bus/subjects.ts';
import type { Job } from '../../schemas/job.ts';
import type { WaitingStream } from '../../schemas/stored.ts';
import { type Fleet, useFleet } from './fleet.ts';
import { newNatsAccount } from './nats-account.ts';
import { program } from './program.ts';
import type { ServiceProcess } from './service.ts';
import type { SimHost } from './sim-host.ts';
import { streamsOf } from './streams.ts';

export const allow = { ZPSEND_ALLOW: '*=pool' };

export interface World {
  readonly fleet: Fleet;
  readonly src: SimHost;
  readonly dst: SimHost;
  readonly bucket: StreamsBucket;
  readonly url: string;
}

/** @param url of NATS; an account that no other test uses, where the test has no server to itself */
export async function useWorld(url?: string): Promise<World> {
  const natsUrl = url ?? (await newNatsAccount());
  const fleet = await useFleet(natsUrl);
  const [src, dst] = await Promise.all([fleet.host('src'), fleet.host('dst')]);
  await Promise.all([src.zpool('create', 'pool'), dst.zpool('create', 'pool')]);
  await src.zfs('create', 'pool/a');
  const bucket = await streamsOf(fleet.bus, 'src');
  return { fleet, src, dst, bucket, url: natsUrl };
}

export async function snapshot(host: SimHost, bytes: number, ...names: string[]): Promise<void> {
  for (const name of names) {
    await host.zfs('set', `zfs-sim:write=${bytes}`, 'pool/a');
    await host.zfs('snapshot', `pool/a@${name}`);
  }
}

export const list = (host: SimHost): Promise<string> =>
  host.zfs('list', '-Hp', '-r', '-t', 'snapshot', '-o', 'name,guid', 'pool/a').catch(() => '');

/** The resume token of an incomplete receive. */
export const partial = ({ dst }: World): Promise<string> =>
  dst.zfs('get', '-Hpo', 'value', 'receive_resume_token', 'pool/a').catch(() => '-');

export const arrived = ({ src, dst }: World): Promise<void> =>
  list(src).then((all) => expect.poll(() => list(dst), { timeout: 60_000 }).toBe(all));

const incompleteOnly = async (bucket: StreamsBucket): Promise<string[]> => {
  const whole = new Set(await bucket.names());
  return (await bucket.withChunks()).filter((name) => !whole.has(name));
};

/** The status of pool/a on a target. */
export const rowOf = async ({ fleet }: World, target: string) =>
  (await readStatus(fleet.bus))?.found.find((one) => one.target === target && one.dataset === 'pool/a')?.entry;

/** The names of all objects in the store except known targets. */
export const stored = async ({ bucket }: World): Promise<string[]> =>
  (await bucket.mark()) === undefined
    ? []
    : (await bucket.names())
        .concat(await incompleteOnly(bucket))
        .filter((name) => parseStoredName(name)?.kind !== 'known');

/** The complete streams, in the order in which they were stored. */
export const whole = async ({ bucket }: World): Promise<readonly WaitingStream[]> =>
  (await readCatalog(bucket, () => {}).read()).waiting;

export const emptied = (world: World): Promise<void> =>
  expect.poll(() => stored(world), { timeout: 60_000 }).toEqual([]);

export async function nothingLeft({ fleet, src }: World): Promise<void> {
  const names = (await list(src)).split('\n').map((line) => line.split('\t')[0] ?? '');
  expect(await src.zfs('holds', '-H', ...names)).toBe('');
  const locks = await openLocks(fleet.bus, 4);
  await expect.poll(() => locks.list(), { timeout: 30_000 }).toEqual([]);
}

export const send = ({ fleet }: World, more: object = {}): Promise<Job> =>
  fleet.send('src', { dataset: 'pool/a', to: { host: 'dst' }, channel: 'auto', ...more });

export const startReceiver = ({ fleet, dst }: World, env: NodeJS.ProcessEnv = {}): Promise<ServiceProcess> =>
  fleet.start('receiver', dst, { ...allow, ...env });

/** A command on src. */
export const run = ({ src, url }: World, ...args: string[]) =>
  execa(process.execPath, [program, ...args], { env: { ...src.env, NATS_URL: url }, extendEnv: false, reject: false });

/** `zpsend send` to dst, as cron runs it on a host that has no sender service. */
export const command = (
  { src, url }: World,
  channel: 'auto' | 'store',
  { dataset = 'pool/a', env = {} }: { dataset?: string; env?: NodeJS.ProcessEnv } = {},
) =>
  execa(process.execPath, [program, 'send', '--channel', channel, dataset, 'dst'], {
    env: { ...src.env, NATS_URL: url, ...env },
    extendEnv: false,
    reject: false,
  });
