import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { startNatsServer } from '../../lib/nats-server/start.ts';
import { everyMs, wordsOn } from '../../services/host/supervisor.ts';
import { useGate } from '../support/gate.ts';
import { startService } from '../support/service.ts';
import { makeSimHost } from '../support/sim-host.ts';

const listener = fileURLToPath(new URL('../support/notify-socket.py', import.meta.url));

/** What systemd would hear, as one real socket of its kind hears it. */
async function useNotify() {
  const folder = await mkdtemp(join(tmpdir(), 'zpsend-notify-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const socket = join(folder, 'notify');
  const child = execa('python3', [listener, socket], { reject: false, buffer: false });
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await child;
  });
  const heard: string[] = [];
  const ready = Promise.withResolvers<void>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    heard.push(JSON.parse(line));
    ready.resolve();
  });
  await ready.promise;
  heard.length = 0;
  const lines = (): string[] =>
    heard.flatMap((message) => message.split('\n')).filter((line) => !['', 'BARRIER=1'].includes(line));
  const hears = (pattern: RegExp, since = 0) =>
    expect
      .poll(
        () =>
          lines()
            .slice(since)
            .some((line) => pattern.test(line)),
        { timeout: 30_000 },
      )
      .toBe(true);
  return { env: { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '900000' }, lines, hears };
}

test('systemd is told when a service serves, that it is well as long as it is, and when it ends', async () => {
  await using server = await startNatsServer({ jetstream: true });
  const host = await makeSimHost('smos-00');
  onTestFinished(() => host.remove());
  await server.kill();
  const { env, lines, hears } = await useNotify();
  const options = { ...host.env, ...env, NATS_URL: server.url, ZPSEND_ALLOW: '*=tank' };
  const service = await startService('receiver', options, { waitReady: false });
  onTestFinished(async () => void (await service.end('SIGKILL')));
  await hears(/^STATUS=still waiting for NATS: no NATS server answers/);
  expect(lines()).not.toContain('READY=1');
  await server.restart();
  await hears(/^READY=1$/);
  await hears(/^STATUS=receiver on /);
  await hears(/^WATCHDOG=1$/);
  await server.kill();
  await hears(/^STATUS=receiver on .*: the connection to NATS is lost$/);
  const lost = lines().length;
  await hears(/the connection to NATS is lost$/, lost + 2);
  expect(lines().slice(lost)).not.toContain('WATCHDOG=1');
  await server.restart();
  await hears(/^WATCHDOG=1$/, lost);
  expect(await service.end('SIGTERM')).toBe(0);
  expect(lines()).toContain('STOPPING=1');
  expect(lines().at(-1)).toBe('STATUS=stopping: SIGTERM');
});

test('the watchdog is told nothing while zfs hangs', { timeout: 120_000 }, async () => {
  await using server = await startNatsServer({ jetstream: true });
  const host = await makeSimHost('smos-00');
  onTestFinished(() => host.remove());
  const gate = await useGate(host);
  const { env, lines, hears } = await useNotify();
  const options = { ...host.env, ...env, ...gate.env, NATS_URL: server.url, ZPSEND_ALLOW: '*=tank' };
  const service = await startService('receiver', options);
  onTestFinished(async () => void (await service.end('SIGKILL')));
  await hears(/^WATCHDOG=1$/);
  await gate.shut('version');
  await gate.reached('version');
  const hung = lines().length;
  await hears(/^STATUS=.*zfs does not answer within 10 s$/, hung);
  expect(lines().slice(hung + 1)).not.toContain('WATCHDOG=1');
  await gate.open('version');
  const open = lines().length;
  await hears(/^WATCHDOG=1$/, open);
});

test.each([
  [{ isConnected: true, zfs: 'answers' }, ['WATCHDOG=1', 'STATUS=x']],
  [{ isConnected: true, zfs: 'fails' }, ['WATCHDOG=1', 'STATUS=x: zfs answers with an error']],
  [{ isConnected: true, zfs: 'hangs' }, ['STATUS=x: zfs does not answer within 10 s']],
  [{ isConnected: false, zfs: 'answers' }, ['STATUS=x: the connection to NATS is lost']],
  [{ isConnected: false, zfs: 'fails' }, ['STATUS=x: the connection to NATS is lost']],
  [{ isConnected: false, zfs: 'hangs' }, ['STATUS=x: the connection to NATS is lost']],
] as const)('a service of %j', (health, words) => expect(wordsOn(health, 'x')).toEqual(words));

test('the watchdog is told thrice in the time that it waits', () => {
  expect([everyMs({ WATCHDOG_USEC: '60000000' }), everyMs({}), everyMs({ WATCHDOG_USEC: 'x' })]).toEqual([
    20_000, 20_000, 20_000,
  ]);
});
