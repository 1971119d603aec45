import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, onTestFinished, test } from 'vitest';
import { quick, useFleet } from '../../support/fleet.ts';
import { mentions } from '../../support/mentions.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import { ownNatsServer } from '../../support/nats-server.ts';
import { program } from '../../support/program.ts';

const natsUrl = useNatsAccounts();

/** zones/test with two snapshots on smos-01, and a receiver smos-00 that takes seconds for them. */
async function useHouse() {
  const fleet = await useFleet(natsUrl());
  const [source, target] = await Promise.all([fleet.host('smos-01'), fleet.host('smos-00')]);
  await Promise.all([source, target].map((host) => host.zpool('create', 'zones')));
  await source.zfs('create', 'zones/test');
  for (const [leaf, bytes] of [
    ['one', '1000000'],
    ['two', '6000000'],
  ]) {
    await source.zfs('set', `zfs-sim:write=${bytes}`, 'zones/test');
    await source.zfs('snapshot', `zones/test@${leaf}`);
  }
  await fleet.start('receiver', target, { ZPSEND_ALLOW: '*=zones', ZFS_SIM_RECV_RATE: '3M' });
  return { fleet, source, target, env: { ...source.env, ...quick, NATS_URL: natsUrl() } };
}

const snapshots = ['zones/test@one', 'zones/test@two'];

describe('a reader that goes away', () => {
  test.each(['stdout', 'stderr', 'both'])(
    'of %s does not end a send, whose exit status is the job’s',
    async (which) => {
      const { target, env } = await useHouse();
      const child = spawn(process.execPath, [program, 'send', 'zones/test', 'smos-00'], {
        env,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      if (which !== 'stderr') child.stdout.destroy();
      if (which !== 'stdout') child.stderr.destroy();
      child.stdout.resume();
      child.stderr.resume();
      const [status] = await once(child, 'exit');
      expect(status).toBe(0);
      const there = await target.zfs('list', '-Hp', '-t', 'snapshot', '-o', 'name');
      expect(there.split('\n')).toEqual(snapshots);
    },
  );

  test('with its command, killed -9, leaves no hold: the sender that the command ran ends cleanly', async () => {
    const { source, env } = await useHouse();
    const child = spawn(process.execPath, [program, 'send', 'zones/test', 'smos-00'], {
      env: { ...env, ZPSEND_LOG_LEVEL: 'info' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.resume();
    child.stderr.resume();
    const holds = () => source.zfs('holds', '-H', ...snapshots);
    await expect.poll(holds, { timeout: 20_000 }).toContain('zpsend:');
    child.kill('SIGKILL');
    child.stdout.destroy();
    child.stderr.destroy();
    await expect.poll(holds, { timeout: 20_000 }).toBe('');
  });

  test('of a service’s log does not end the service', async () => {
    const { fleet, source, target, env } = await useHouse();
    const child = spawn(process.execPath, [program, 'receiver'], {
      env: {
        ...target.env,
        ...quick,
        NATS_URL: env.NATS_URL,
        ZPSEND_HOST: 'smos-09',
        ZPSEND_ALLOW: '*=zones',
        ZPSEND_LOG: 'json',
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    for await (const line of child.stderr.iterator({ destroyOnReturn: false }))
      if (`${line}`.includes('"event":"service.ready"')) break;
    child.stderr.destroy();
    await fleet.start('sender', source);
    const job = await fleet.send('smos-01', { dataset: 'zones/test', to: { host: 'smos-09', dataset: 'zones/copy' } });
    expect(job).toMatchObject({ state: 'done', done: 2 });
    expect(child.exitCode).toBeNull();
  });
});

describe('a service', () => {
  test.each([
    [{ NATS_CREDS: '/no/such/file' }, ['receiver'], '/no/such/file'],
    [{}, ['receiver', '--typo'], '--typo'],
    [{}, ['sender', 'zones/test'], 'zpsend sender --help'],
  ])('with %j and %j ends with status 2, and a line with the reason', async (env, argv, fact) => {
    // its URL names no user, which would win over the other identities
    const { url } = await ownNatsServer();
    const child = spawn(process.execPath, [program, ...argv], {
      env: { PATH: process.env.PATH, NATS_URL: url, ZPSEND_HOST: 'smos-01', ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    const [status] = await once(child, 'close');
    expect(status).toBe(2);
    expect(stderr).toEqual(mentions(fact));
    expect(stderr).not.toMatch(/\n\s+at /);
  });
});
