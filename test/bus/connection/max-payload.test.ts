import { connect, type NatsConnection } from '@nats-io/transport-node';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { connectBus } from '../../../lib/bus/connection/connect.ts';
import { requestInventory } from '../../../lib/bus/rpc/inventory-parts.ts';
import { request } from '../../../lib/bus/rpc/request.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { errorReplySchema } from '../../../schemas/errors.ts';
import { infoSchema } from '../../../schemas/host.ts';
import type { StartOptions } from '../../../tools/nats-server/start.ts';
import { useBus } from '../../support/bus.ts';
import { type Fleet, quick, useFleet } from '../../support/fleet.ts';
import { mentions } from '../../support/mentions.ts';
import { ownNatsServer } from '../../support/nats-server.ts';
import { useNotify } from '../../support/notify.ts';
import { program } from '../../support/program.ts';
import { startService } from '../../support/service.ts';
import { makeSimHost } from '../../support/sim-host.ts';

const count = 5000;
const body = { dataset: 'zones/data', to: { host: 'smos-00' }, compression: 'none' };

/** A NATS whose limit a test changes, as an administrator does, and two hosts with a long listing and a long snapshot. */
async function useLimited(first: string) {
  const options: StartOptions = { jetstream: true, config: `max_payload: ${first}` };
  const server = await ownNatsServer(options);
  const fleet = await useFleet(server.url);
  const [source, target] = await Promise.all([fleet.host('smos-01'), fleet.host('smos-00')]);
  for (const host of [source, target]) await host.zpool('create', 'zones');
  await source.zfs('create', 'zones/many');
  await source.zfs('zfs-sim-fill', 'zones/many', `${count}`, '0');
  await source.zfs('create', 'zones/data');
  await source.zfs('set', 'zfs-sim:write=24000000', 'zones/data');
  await source.zfs('snapshot', 'zones/data@one');
  const receiver = await fleet.start('receiver', target, { ZPSEND_ALLOW: '*=zones', ZFS_SIM_RECV_RATE: '4M' });
  const sender = await fleet.start('sender', source);
  const limit = async (size: string): Promise<void> => {
    options.config = `max_payload: ${size}`;
    await server.restart();
    await expect.poll(() => fleet.bus.connected, { timeout: 20_000 }).toBe(true);
  };
  return { server, fleet, limit, services: [sender, receiver], url: server.url };
}

/** A job whose stream runs. */
async function beganJob(fleet: Fleet): Promise<string> {
  const job = await fleet.begin('smos-01', body);
  const bytes = async () => (await fleet.status('smos-01', job))?.bytes ?? 0;
  await expect.poll(bytes, { timeout: 30_000 }).toBeGreaterThan(0);
  return job;
}

/** A client that needs no listing, and may send and receive little. */
async function usePlain(url: string): Promise<NatsConnection> {
  const nc = await connect({ servers: url });
  onTestFinished(() => nc.close());
  return nc;
}

/** Snapshots that are listed; a service that is not back yet is asked again. */
async function listed(fleet: Fleet): Promise<number> {
  for (;;) {
    const all = await requestInventory(fleet.bus, 'smos-01', { dataset: 'zones/many' }).catch((error) => {
      if (error.code === 'UNREACHABLE') return undefined;
      throw error;
    });
    if (all) return all.datasets.reduce((sum, { snapshots }) => sum + snapshots.length, 0);
  }
}

async function errorOf(nc: NatsConnection, subject: string, what: object) {
  const ask = () => nc.request(subject, JSON.stringify(what), { timeout: 20_000 }).catch(() => undefined);
  let reply = await ask();
  while (reply === undefined) reply = await ask();
  return errorReplySchema.parse(reply.json()).error;
}

test('smaller messages after a reconnect: listings and transfers shrink with the connection in use', async () => {
  const { fleet, limit } = await useLimited('8MB');
  expect(await listed(fleet)).toBe(count);
  const job = await beganJob(fleet);
  for (const size of ['1MB', '128KB', '64KB', '1MB']) {
    await limit(size);
    expect(await listed(fleet), size).toBe(count);
  }
  expect(await fleet.ended('smos-01', job)).toMatchObject({ state: 'done', done: 1 });
});

test('messages too small for anything: requests are refused with a reason, nothing is tried without end, and all continues', async () => {
  const { server, fleet, limit, services, url } = await useLimited('1MB');
  const job = await beganJob(fleet);
  await limit('32KB');
  const plain = await usePlain(url);
  const words = {
    code: 'UNSUPPORTED',
    details: { reason: 'payload-limit', maxPayload: 32768, least: expect.any(Number) },
    message: mentions(32768, 'max_payload'),
  };
  for (const [subject, what] of [
    [subjects.snapshots('smos-01'), { dataset: 'zones/many' }],
    [subjects.snapshots('smos-00'), {}],
    [subjects.info('smos-00'), {}],
    [subjects.send('smos-01', 'start'), body],
    [subjects.send('smos-01', 'status'), {}],
    [subjects.receive('smos-00', 'status'), {}],
  ] as const) {
    expect(await errorOf(plain, subject, what), subject).toMatchObject(words);
  }
  const asked = requestInventory(fleet.bus, 'smos-01', { dataset: 'zones/many' });
  await expect(asked).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  await expect(connectBus({ name: 'new', env: { NATS_URL: url }, wait: false })).rejects.toMatchObject(words);
  const connections = async (): Promise<number> => {
    const varz: unknown = await (await fetch(`${server.monitor}/varz`)).json();
    return Number((varz as { total_connections: number }).total_connections);
  };
  const before = await connections();
  // longer than several of a job's own tries: each of these is one round trip after the other to both services
  for (let n = 0; n < 200; n += 1) await errorOf(plain, subjects.receive('smos-00', 'status'), {});
  // one may still come from before; a job that connects at each of its tries makes one a second
  expect((await connections()) - before).toBeLessThan(2);
  for (const service of services) expect(service.lines('nats.payload-too-small')).toHaveLength(1);
  await limit('1MB');
  expect(await listed(fleet)).toBe(count);
  expect(await fleet.ended('smos-01', job)).toMatchObject({ state: 'done', done: 1 });
  for (const service of services) await service.logged('nats.payload-restored');
});

test.each(['receiver', 'sender'] as const)(
  'a %s that starts where messages are too small logs that once, answers with that, and works when the limit is raised',
  async (name) => {
    const options: StartOptions = { jetstream: true, config: 'max_payload: 4096' };
    const server = await ownNatsServer(options);
    const host = await makeSimHost('smos-01');
    onTestFinished(() => host.remove());
    await host.zpool('create', 'zones');
    const { env: systemd, shows } = await useNotify();
    const env = { ...host.env, ...quick, ...systemd, NATS_URL: server.url, ZPSEND_ALLOW: '*=zones' };
    const service = await startService(name, env, { waitReady: false });
    onTestFinished(async () => void (await service.end('SIGKILL')));
    await service.logged('service.connected');
    expect(service.lines('nats.payload-too-small')).toMatchObject([{ level: 40 }]);
    expect(service.lines('service.ready')).toEqual([]);
    await shows(new RegExp(`^STATUS=${name} on .*takes messages of 4096 bytes at most.*raise max_payload`));
    const plain = await usePlain(server.url);
    const own = name === 'sender' ? subjects.send('smos-01', 'status') : subjects.receive('smos-01', 'status');
    for (const subject of [subjects.info('smos-01'), subjects.snapshots('smos-01'), own]) {
      expect(await errorOf(plain, subject, {}), subject).toMatchObject({ code: 'UNSUPPORTED' });
    }
    options.config = 'max_payload: 1MB';
    await server.restart();
    await service.logged('nats.payload-restored');
    expect(service.lines('nats.payload-too-small')).toHaveLength(1);
    const bus = await useBus(server.url);
    expect(await request(bus, subjects.info('smos-01'), {}, infoSchema)).toMatchObject({ host: 'smos-01' });
    await shows(new RegExp(`^STATUS=${name} on [^ ]*$`));
    expect(await service.end()).toBe(0);
  },
);

test('a command fails at once where messages are too small, and so does its own sender', async () => {
  const server = await ownNatsServer({ jetstream: true, config: 'max_payload: 32KB' });
  const host = await makeSimHost('smos-01');
  onTestFinished(() => host.remove());
  await host.zpool('create', 'zones');
  await host.zfs('create', 'zones/data');
  await host.zfs('snapshot', 'zones/data@one');
  for (const argv of [
    ['send', 'zones/data', 'smos-00'],
    ['sender', '--private'],
  ]) {
    const env = { ...host.env, ...quick, NATS_URL: server.url };
    const options = { env, extendEnv: false, reject: false, stdin: 'pipe' } as const;
    const { exitCode, stderr } = await execa(process.execPath, [program, ...argv], options);
    expect([exitCode, stderr]).toEqual([1, mentions('UNSUPPORTED', 32768, 'max_payload')]);
  }
});
