import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { connectBus } from '../../lib/bus/connect.ts';
import { request, requestMany } from '../../lib/bus/request.ts';
import { serve } from '../../lib/bus/serve.ts';
import { startNatsServer } from '../../lib/nats-server/start.ts';
import { rejection, useBus } from '../support/bus.ts';

const anything = z.json();
const nothing = z.strictObject({});

describe('a NATS that is not there', () => {
  test('is UNREACHABLE for a command, which says where it looked and what to do, and no password', async () => {
    const own = await startNatsServer();
    await own.stop();
    const env = { NATS_URL: own.url.replace('//', '//ann:s3cret@') };
    const error = await rejection(connectBus({ name: 'test', env, wait: false }));
    expect(error.code).toBe('UNREACHABLE');
    expect(error.message).toContain(`no NATS server answers at ${own.url}`);
    expect(error.message).toMatch(/start nats-server, or set NATS_URL/);
    expect(error.message).not.toContain('s3cret');
  });

  test('is waited for by a service, which says so, and connects when it comes', async () => {
    await using own = await startNatsServer();
    await own.kill();
    const said: string[] = [];
    const connecting = useBus(own.url, { wait: true, onStatus: (text) => said.push(text) });
    await expect.poll(() => said, { timeout: 20_000 }).toContain(`still waiting for NATS at ${own.url}`);
    await own.restart();
    const bus = await connecting;
    serve(bus, { name: 'x', subject: 'zfs.a.x', request: nothing, handle: async () => ({ ok: true }) });
    expect(await request(bus, 'zfs.a.x', {}, anything)).toEqual({ ok: true });
  });
});

test('a NATS that takes no messages of a useful size is refused, with the setting to change', async () => {
  await using own = await startNatsServer({ config: 'max_payload: 4096' });
  const error = await rejection(connectBus({ name: 'test', env: { NATS_URL: own.url }, wait: false }));
  expect(error.code).toBe('UNSUPPORTED');
  expect(error.message).toMatch(/messages of 4096 bytes at most, and zpsend needs 65536: raise max_payload/);
});

describe('a NATS that goes and comes', () => {
  test('fails what is asked at once, and everything goes on after it', async () => {
    await using own = await startNatsServer();
    const said: string[] = [];
    const [service, asker] = [await useBus(own.url, { onStatus: (text) => said.push(text) }), await useBus(own.url)];
    serve(service, { name: 'x', subject: 'zfs.a.x', request: nothing, handle: async () => ({ ok: true }) });
    serve(service, { name: 'y', subject: 'zfs.a.y', request: nothing, handle: async () => undefined });
    await service.nc.flush();
    const under = [
      rejection(request(asker, 'zfs.a.y', {}, anything, 60_000)),
      rejection(requestMany(asker, 'zfs.a.y', {}, anything, 60_000)),
    ];
    await asker.nc.flush();
    await own.kill();
    for (const error of await Promise.all(under)) expect(error.code).toBe('UNREACHABLE');
    await expect.poll(() => asker.connected).toBe(false);
    expect((await rejection(request(asker, 'zfs.a.x', {}, anything, 60_000))).code).toBe('UNREACHABLE');
    await own.restart();
    await expect
      .poll(() => request(asker, 'zfs.a.x', {}, anything).catch(() => undefined), { timeout: 20_000 })
      .toEqual({ ok: true });
    expect(said).toEqual(['lost the connection to NATS, reconnecting', 'connected to NATS again']);
  });
});

describe('who we are', () => {
  const config = (more: string) => `authorization { ${more} }`;

  test.each([
    ['a user', config('user: ann, password: "p@:w"'), 'ann:p%40%3Aw@'],
    ['a token', config('token: s3cret'), 's3cret@'],
  ])('may be %s in the URL', async (_what, text, identity) => {
    await using own = await startNatsServer({ config: text });
    const bus = await useBus(own.url.replace('//', `//${identity}`));
    await expect(bus.nc.flush()).resolves.toBeUndefined();
    const error = await rejection(connectBus({ name: 'test', env: { NATS_URL: own.url }, wait: false }));
    expect(error.message).toMatch(/authorization/i);
  });
});

describe('close', () => {
  test('sends what is pending, and tells that the connection has ended', async () => {
    await using own = await startNatsServer();
    const [one, two] = [await useBus(own.url), await useBus(own.url)];
    const heard: string[] = [];
    two.nc.subscribe('zfs.a.x', { callback: (_error, message) => void heard.push(message.string()) });
    await two.nc.flush();
    one.nc.publish('zfs.a.x', 'last words');
    await one.close();
    expect(await one.closed).toBeUndefined();
    expect(one.connected).toBe(false);
    await expect.poll(() => heard).toEqual(['last words']);
    await expect(one.close()).resolves.toBeUndefined();
  });

  test('ends also while NATS is away', async () => {
    await using own = await startNatsServer();
    const bus = await useBus(own.url);
    await own.kill();
    await expect.poll(() => bus.connected).toBe(false);
    expect(await Promise.race([bus.close(300).then(() => 'closed'), sleep(15_000, 'hung')])).toBe('closed');
    expect(await Promise.race([bus.closed.then(() => 'closed'), sleep(15_000, 'hung')])).toBe('closed');
  });
});
