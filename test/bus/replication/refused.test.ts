import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nkeys } from '@nats-io/transport-node';
import { expect, onTestFinished, test } from 'vitest';
import { storeConnection } from '../../../lib/bus/channel/store/connection.ts';
import { connectBus } from '../../../lib/bus/connection/connect.ts';
import { openDataConnection } from '../../../lib/bus/data-connection/connection.ts';
import { type Clock, systemClock } from '../../../lib/time/clock.ts';
import type { StartOptions } from '../../../tools/nats-server/start.ts';
import { rejection } from '../../support/bus.ts';
import { mentions } from '../../support/mentions.ts';
import { ownNatsServer } from '../../support/nats-server.ts';
import { startService } from '../../support/service.ts';
import { makeSimHost } from '../../support/sim-host.ts';

const usersOf = (...keys: string[]): string =>
  `authorization { users: [${keys.map((nkey) => `{ nkey: ${nkey} }`).join(', ')}] }`;

/** A server that knows one key, and a seed file of it; another key takes its place when a test asks for it. */
async function useKeys() {
  const [first, second] = [nkeys.createUser(), nkeys.createUser()];
  const folder = await mkdtemp(join(tmpdir(), 'zpsend-refused-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, 'host.nk');
  const write = (key: typeof first) => writeFile(file, new TextDecoder().decode(key.getSeed()));
  await write(first);
  const options: StartOptions = { jetstream: true, config: usersOf(first.getPublicKey()) };
  const server = await ownNatsServer(options);
  const replace = async (): Promise<void> => {
    options.config = usersOf(second.getPublicKey());
    await server.restart();
  };
  return { server, file, replace, renew: () => write(second), env: { NATS_URL: server.url, NATS_NKEY: file } };
}

test('a service whose key is refused logs that once for all its connections, and ends after a minute', async () => {
  const { env, file, replace } = await useKeys();
  const statuses: { event: string; text: string }[] = [];
  let now = 0;
  const bus = await connectBus({
    name: 'x',
    env,
    wait: true,
    onStatus: (event, text) => statuses.push({ event, text }),
    clock: { ...systemClock, now: () => now },
  });
  onTestFinished(() => bus.close());
  const dataConnection = await openDataConnection({ ...bus.options, name: 'x (data)' }, bus.refusal);
  onTestFinished(() => dataConnection.close());
  const store = storeConnection(bus, 'x (store)');
  const { dataConnection: kept } = await store.open();
  onTestFinished(() => store.close());
  const refusals = [bus.nc, dataConnection.nc, kept.nc].map(async (nc) => {
    let seen = 0;
    for await (const status of nc.status()) if (status.type === 'error' && ++seen === 2) return;
  });
  await replace();
  await Promise.all(refusals);
  const refused = statuses.filter(({ event }) => event === 'nats.refused');
  expect(refused.map(({ text }) => text)).toEqual([mentions(file, 'zpsend deploy permissions')]);
  expect(statuses.filter(({ event }) => event === 'nats.lost')).toHaveLength(1);
  // one that stays refused, as seen by its own clock
  for (; ; now += 25_000) {
    const over = await Promise.race([bus.refusal.over, nextError(bus.nc)]);
    if (over) {
      expect(over).toMatchObject({ code: 'NOT_ALLOWED', details: undefined });
      expect(now).toBeGreaterThanOrEqual(60_000);
      return;
    }
  }
});

test('a server that has no time for the login refuses no client, and a service outlasts that', async () => {
  const key = nkeys.createUser();
  const folder = await mkdtemp(join(tmpdir(), 'zpsend-refused-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, 'host.nk');
  await writeFile(file, new TextDecoder().decode(key.getSeed()));
  const config = (timeout: string): string =>
    `authorization { timeout: ${timeout}, users: [{ nkey: ${key.getPublicKey()} }] }`;
  const options: StartOptions = { config: config('2') };
  const server = await ownNatsServer(options);
  const env = { NATS_URL: server.url, NATS_NKEY: file };
  const statuses: { event: string; text: string }[] = [];
  let now = 0;
  const bus = await connectBus({
    name: 'x',
    env,
    wait: true,
    onStatus: (event, text) => statuses.push({ event, text }),
    clock: { ...systemClock, now: () => now },
  });
  onTestFinished(() => bus.close());
  const again = new Promise<void>((resolve) => bus.onReconnected(resolve));
  // shorter than any client's login
  options.config = config('0.000001');
  await server.restart();
  // two minutes of it, as seen by its own clock
  for (; now <= 125_000; now += 25_000) await nextError(bus.nc);
  expect(bus.refusal.isRefused).toBe(false);
  expect(statuses.filter(({ text }) => /authentication timeout/i.test(text)).map(({ event }) => event)).toEqual([
    'nats.error',
  ]);
  expect(await rejection(connectBus({ name: 'x', env, wait: false }))).toMatchObject({
    code: 'UNREACHABLE',
    details: { reason: 'no-server' },
    message: mentions('authorization.timeout'),
  });
  options.config = config('2');
  await server.restart();
  expect(await Promise.race([bus.refusal.over, again])).toBeUndefined();
  expect(statuses.filter(({ event }) => event === 'nats.refused')).toEqual([]);
});

async function nextError(nc: { status(): AsyncIterable<{ type: string }> }): Promise<undefined> {
  for await (const status of nc.status()) if (status.type === 'error') return;
}

test('a key that is renewed in its file is used at the next attempt, and that is logged', async () => {
  const { env, replace, renew } = await useKeys();
  const statuses: { event: string; text: string }[] = [];
  const bus = await connectBus({
    name: 'x',
    env,
    wait: true,
    onStatus: (event, text) => statuses.push({ event, text }),
  });
  onTestFinished(() => bus.close());
  const again = new Promise<void>((resolve) => bus.onReconnected(resolve));
  await replace();
  await expect.poll(() => statuses.some(({ event }) => event === 'nats.refused'), { timeout: 20_000 }).toBe(true);
  await renew();
  await again;
  expect(statuses.map(({ event }) => event)).toContain('nats.accepted');
  expect(bus.refusal.isRefused).toBe(false);
});

test('a command that is refused ends at once, and a service that is not yet connected retries until its end', async () => {
  const { env, replace } = await useKeys();
  await replace();
  expect(await rejection(connectBus({ name: 'x', env, wait: false }))).toMatchObject({ code: 'NOT_ALLOWED' });
  let now = 0;
  const clock: Clock = {
    ...systemClock,
    now() {
      now += 20_000;
      return now;
    },
  };
  expect(await rejection(connectBus({ name: 'x', env, wait: true, clock }))).toMatchObject({
    code: 'NOT_ALLOWED',
  });
  expect(now).toBeGreaterThanOrEqual(80_000);
});

test('a service that is refused for a minute ends with 1, and the words are in its log', {
  timeout: 180_000,
}, async () => {
  const { env, replace } = await useKeys();
  const host = await makeSimHost('smos-00');
  onTestFinished(() => host.remove());
  const service = await startService('receiver', { ...host.env, ...env, ZPSEND_ALLOW: '*=tank' });
  onTestFinished(async () => void (await service.end('SIGKILL')));
  await replace();
  await service.logged('service.stopping', { code: 'NOT_ALLOWED' });
  expect(await service.end('SIGTERM')).toBe(1);
  expect(service.lines('nats.refused')).toHaveLength(1);
  expect(service.log.length, 'no flood').toBeLessThan(20);
});
