import { jetstreamManager } from '@nats-io/jetstream';
import { expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { createStreamsBucket } from '../../../lib/bus/channel/store/create-bucket.ts';
import { withRetry } from '../../../lib/bus/channel/store/retry.ts';
import { streamsBucket } from '../../../lib/bus/subjects.ts';
import type { ZpsendError } from '../../../schemas/errors.ts';
import { startNatsCluster } from '../../../tools/nats-server/cluster.ts';
import { useBus } from '../../support/bus.ts';
import { streamsOf } from '../../support/streams.ts';

const mib = 2 ** 20;
const stream = `OBJ_${streamsBucket('src')}`;
const bounds = { maxBytes: 1024 * mib, maxAgeSeconds: 3600, replicas: 3 };

async function useCluster(size: number) {
  const servers = await startNatsCluster(size, {
    jetstream: true,
    config: `jetstream { max_file_store: ${300 * mib} }`,
  });
  onTestFinished(async () => {
    await Promise.all(servers.map((server) => server.stop()));
  });
  const bus = await useBus(servers.map(({ url }) => url).join(','));
  return { servers, bus, manager: await jetstreamManager(bus.nc) };
}

test('of three servers the store has three copies, of a size that each has room for, and one server may be lost', async () => {
  const { servers, bus, manager } = await useCluster(3);
  expect(await createStreamsBucket(bus, 'src', bounds)).toBe(256 * mib);
  const { config, cluster } = await manager.streams.info(stream);
  expect(config.num_replicas).toBe(3);
  const bucket = await streamsOf(bus, 'src');
  await bucket.put('abcdef/000000', Buffer.alloc(3 * mib, 'x'), '');
  await servers[Number(cluster?.leader?.slice(1)) - 1]?.kill();
  await expect
    .poll(() => bucket.get('abcdef/000000', 3 * mib).then((got) => got?.bytes.length, String), { timeout: 50_000 })
    .toBe(3 * mib);
});

test('of two servers the store has one copy', async () => {
  const { bus, manager } = await useCluster(2);
  expect(await createStreamsBucket(bus, 'src', bounds)).toBe(256 * mib);
  expect((await manager.streams.info(stream)).config.num_replicas).toBe(1);
});

test('chunks that a lagging replica does not have yet do not count as missing', async () => {
  const { servers, bus, manager } = await useCluster(3);
  await createStreamsBucket(bus, 'src', { ...bounds, maxBytes: 256 * mib });
  const { cluster } = await manager.streams.info(stream);
  const jsz = z.object({ meta_cluster: z.object({ leader: z.string() }) });
  const { meta_cluster } = jsz.parse(await (await fetch(`${servers[0]?.monitor}/jsz`)).json());
  const named = servers.map((server, at) => ({ name: `n${at + 1}`, server }));
  const leader = named.find(({ name }) => name === cluster?.leader)?.server;
  const follower = named.find(({ name }) => name !== cluster?.leader && name !== meta_cluster.leader)?.server;
  if (!leader || !follower) throw new Error('no leader, or no follower that leads nothing');
  const bucket = await streamsOf(await useBus(leader.url), 'src');
  const patiently = <T>(work: () => Promise<T>) =>
    withRetry(work, { ms: 30_000, signal: new AbortController().signal });
  const bytes = Buffer.alloc(16 * mib, 'x');
  const lagged: string[] = [];
  for (let round = 0; round < 3; round += 1) {
    process.kill(follower.pid, 'SIGSTOP');
    try {
      for (const name of ['a', 'b', 'c', 'd']) await patiently(() => bucket.put(name, bytes, ''));
    } finally {
      process.kill(follower.pid, 'SIGCONT');
    }
    const inspect = async (name: string): Promise<void> => {
      const got = await bucket.get(name, 16 * mib).catch((error: ZpsendError) => error);
      if (got instanceof Error) lagged.push(`${got.code}: ${got.message}`);
      else expect(got?.bytes.equals(bytes)).toBe(true);
    };
    await Promise.all(['d', 'd', 'd', 'c', 'c', 'b', 'b', 'a'].map(inspect));
    for (const name of ['a', 'b', 'c', 'd']) await patiently(() => bucket.remove(name));
  }
  // how often it happens is up to the servers, which place a consumer anywhere
  expect(lagged.filter((error) => !error.startsWith('UNREACHABLE'))).toEqual([]);
}, 120_000);
