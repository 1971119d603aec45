import { expect, onTestFinished, test } from 'vitest';
import { everyMs, statusOf } from '../../../services/host/supervisor.ts';
import { startNatsServer } from '../../../tools/nats-server/start.ts';
import { useGate } from '../../support/gate.ts';
import { useNotify } from '../../support/notify.ts';
import { type ServiceProcess, startService } from '../../support/service.ts';
import { makeSimHost, type SimHost } from '../../support/sim-host.ts';

async function useReceiver(env: NodeJS.ProcessEnv, url: string): Promise<{ host: SimHost; service: ServiceProcess }> {
  const host = await makeSimHost('smos-00');
  onTestFinished(() => host.remove());
  const options = { ...host.env, ...env, NATS_URL: url, ZPSEND_ALLOW: '*=tank' };
  const service = await startService('receiver', options, { waitReady: false });
  onTestFinished(async () => void (await service.end('SIGKILL')));
  return { host, service };
}

test('a service counts as started while NATS is down, before it serves and after, and reports its end', async () => {
  await using server = await startNatsServer({ jetstream: true });
  await server.kill();
  const { env, lines, shows } = await useNotify();
  const { service } = await useReceiver(env, server.url);
  await shows(/^READY=1$/);
  await shows(/^STATUS=still waiting for NATS: no NATS server answers/);
  const waiting = lines().length;
  await shows(/^WATCHDOG=1$/, waiting);
  await server.restart();
  await shows(/^STATUS=receiver on /);
  await server.kill();
  await shows(/^STATUS=receiver on .*: the connection to NATS is lost$/);
  const lost = lines().length;
  await shows(/the connection to NATS is lost$/, lost + 2);
  expect(lines().slice(lost)).toContain('WATCHDOG=1');
  await server.restart();
  const again = lines().length;
  await shows(/^STATUS=receiver on [^ ]*$/, again);
  expect(await service.end('SIGTERM')).toBe(0);
  expect(lines().filter((line) => line === 'READY=1')).toHaveLength(1);
  expect(lines()).toContain('STOPPING=1');
  expect(lines().at(-1)).toBe('STATUS=stopping: SIGTERM');
});

test('a reload is reported to systemd, and then its end', async () => {
  await using server = await startNatsServer({ jetstream: true });
  const { env, lines, shows } = await useNotify();
  const { service } = await useReceiver(env, server.url);
  await shows(/^STATUS=receiver on /);
  const before = lines().length;
  process.kill(service.pid, 'SIGHUP');
  await service.logged('settings.unchanged');
  await shows(/^READY=1$/, before);
  const reported = lines().slice(before);
  const at = reported.indexOf('RELOADING=1');
  expect(reported[at + 1]).toMatch(/^MONOTONIC_USEC=\d+$/);
  expect(reported.indexOf('READY=1')).toBeGreaterThan(at);
});

test('a service that ends while it waits for NATS reports that', async () => {
  await using server = await startNatsServer();
  await server.kill();
  const { env, lines, shows } = await useNotify();
  const { service } = await useReceiver(env, server.url);
  await shows(/^STATUS=still waiting for NATS/);
  expect(await service.end('SIGTERM')).toBe(0);
  expect(lines().at(-1)).toBe('STATUS=stopping: SIGTERM');
});

test('the start of a service is reported to systemd until that succeeds', async () => {
  await using server = await startNatsServer({ jetstream: true });
  const notify = await useNotify({ isThere: false });
  const { service } = await useReceiver(notify.env, server.url);
  await service.logged('systemd.unreachable');
  await service.logged('service.ready');
  await notify.listen();
  await notify.shows(/^READY=1$/);
});

test('the watchdog is notified while zfs hangs', { timeout: 120_000 }, async () => {
  await using server = await startNatsServer({ jetstream: true });
  const host = await makeSimHost('smos-00');
  onTestFinished(() => host.remove());
  const gate = await useGate(host);
  const { env, lines, shows } = await useNotify();
  const options = { ...host.env, ...env, ...gate.env, NATS_URL: server.url, ZPSEND_ALLOW: '*=tank' };
  const service = await startService('receiver', options);
  onTestFinished(async () => void (await service.end('SIGKILL')));
  await gate.shut('version');
  const hung = lines().length;
  // the sixth notification from here began after the gate was shut
  await shows(/^WATCHDOG=1$/, hung + 6);
});

const connected = { connected: true };
const lost = { connected: false };
test.each([
  [connected, connected, undefined, 'x'],
  [connected, lost, undefined, 'x: the connection to NATS is lost'],
  [lost, connected, undefined, 'x: the connection to NATS is lost'],
  [lost, lost, 'y', 'x: the connection to NATS is lost'],
  [connected, connected, 'y', 'x: y'],
])('the status of a service with connections %j and %j and the trouble %s', (bus, dataConnection, trouble, text) =>
  expect(statusOf({ bus, dataConnection, where: () => 'x', trouble: () => trouble })).toBe(text),
);

test('the watchdog is notified three times within its timeout', () => {
  expect([everyMs({ WATCHDOG_USEC: '60000000' }), everyMs({}), everyMs({ WATCHDOG_USEC: 'x' })]).toEqual([
    20_000, 20_000, 20_000,
  ]);
});
