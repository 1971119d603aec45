import { expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { startNatsCluster } from '../../../tools/nats-server/cluster.ts';
import type { NatsServer } from '../../../tools/nats-server/start.ts';
import { useFleet } from '../../support/fleet.ts';

const connectionsSchema = z.object({ connections: z.array(z.object({ name: z.string().default('') })) });

/** Those of the services that are connected to a server; none when it is gone. */
async function servicesAt({ monitor }: NatsServer): Promise<string[]> {
  const answer = await fetch(`${monitor}/connz`).catch(() => undefined);
  if (!answer) return [];
  const { connections } = connectionsSchema.parse(await answer.json());
  return connections.map(({ name }) => name).filter((name) => name.startsWith('zpsend-'));
}

test('a server of a cluster announces its end: the services move to another one, and the job is done', {
  timeout: 300_000,
}, async () => {
  const config = 'lame_duck_duration: "30s"\nlame_duck_grace_period: "1s"';
  const servers = await startNatsCluster(3, { jetstream: true, config });
  onTestFinished(async () => {
    await Promise.all(servers.map((server) => server.stop()));
  });
  const url = servers.map((server) => server.url).join(',');
  const fleet = await useFleet(url);
  const [source, target] = await Promise.all([fleet.host('smos-01'), fleet.host('smos-00')]);
  for (const host of [source, target]) await host.zpool('create', 'zones');
  await source.zfs('create', 'zones/data');
  await source.zfs('set', 'zfs-sim:write=16000000', 'zones/data');
  await source.zfs('snapshot', 'zones/data@one');
  const receiver = await fleet.start('receiver', target, { ZPSEND_ALLOW: '*=zones', ZFS_SIM_RECV_RATE: '2M' });
  const sender = await fleet.start('sender', source);
  const job = await fleet.begin('smos-01', { dataset: 'zones/data', to: { host: 'smos-00' }, compression: 'none' });
  const bytes = async () => (await fleet.status('smos-01', job).catch(() => undefined))?.bytes ?? 0;
  await expect.poll(bytes, { timeout: 60_000 }).toBeGreaterThan(0);

  const services = await Promise.all(servers.map(servicesAt));
  const lame = servers[services.findIndex((names) => names.includes('zpsend-receiver on smos-00'))];
  if (!lame) throw new Error(`the receiver is nowhere: ${JSON.stringify(services)}`);
  process.kill(lame.pid, 'SIGUSR2');
  await receiver.logged('nats.stopping');
  await expect.poll(() => servicesAt(lame), { timeout: 60_000 }).toEqual([]);
  expect(await fleet.ended('smos-01', job)).toMatchObject({ state: 'done', done: 1 });
  expect(await target.zfs('list', '-Hp', '-t', 'snapshot', '-o', 'guid')).toBe(
    await source.zfs('list', '-Hp', '-t', 'snapshot', '-o', 'guid'),
  );
  for (const service of [receiver, sender]) expect(service.lines('nats.stopping').length).toBeLessThanOrEqual(1);
});
