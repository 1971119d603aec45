import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { locksBucket, subjects } from '../../../lib/bus/subjects.ts';
import { sendStartedSchema, sendStatusSchema } from '../../../schemas/job.ts';
import { type NatsServer, startNatsServer } from '../../../tools/nats-server/start.ts';
import { type AccountFleet, makeAccountFleet } from '../../support/account-fleet.ts';
import { useBus } from '../../support/bus.ts';
import { quick } from '../../support/fleet.ts';
import { mentions } from '../../support/mentions.ts';
import { program } from '../../support/program.ts';
import { startService } from '../../support/service.ts';
import { makeSimHost, type SimHost } from '../../support/sim-host.ts';

/** Three hosts and one server, set up with the commands of docs/guides/nats-servers.md only. */
let fleet: AccountFleet;
let server: NatsServer;

const url = () => `tls://127.0.0.1:${server.port}`;
const envOf = (name: string): NodeJS.ProcessEnv => ({
  ...fleet.env[name],
  NATS_URL: url(),
  NATS_CA: join(fleet.folder, 'certs/ca.pem'),
});
const deploy = (...argv: string[]) =>
  execa(process.execPath, [program, 'deploy', ...argv], {
    env: { ...(server && envOf('ops')) },
    extendEnv: false,
    reject: false,
  });

beforeAll(async () => {
  fleet = await makeAccountFleet({
    hosts: {
      alfa: { roles: ['sender'] },
      carl: { roles: ['receiver'], from: ['alfa'] },
      dora: { roles: ['receiver'], from: ['alfa'] },
    },
    more: (folder) => ({
      tls: {
        cert: join(folder, 'certs/nats-1.pem'),
        key: join(folder, 'certs/nats-1-key.pem'),
        ca: join(folder, 'certs/ca.pem'),
      },
      jetstream: { folder: join(folder, 'jetstream') },
      buckets: { lockSeconds: 4, storeSize: '256M', maxBucketSize: '16M' },
    }),
  });
});
afterAll(async () => {
  await server?.stop();
  await fleet?.remove();
});

async function simHost(name: string): Promise<SimHost> {
  const host = await makeSimHost(name);
  onTestFinished(() => host.remove());
  await host.zpool('create', 'pool');
  return host;
}

/** The outcome of each bucket and stream. */
const statesIn = (stdout: string): string[] => JSON.parse(stdout).outcomes.map(({ state }: { state: string }) => state);

test('three hosts, set up by deploy setup and deploy accounts only, send to each other over TLS', async () => {
  const certs = join(fleet.folder, 'certs');
  const made = await deploy('setup', fleet.file, '--certs', certs);
  expect(made.stdout.split('\n').sort()).toEqual(
    ['ca-key.pem', 'ca.pem', 'nats-1-key.pem', 'nats-1.pem'].map((name) => join(certs, name)),
  );
  for (const key of ['ca-key.pem', 'nats-1-key.pem']) expect((await stat(join(certs, key))).mode & 0o777).toBe(0o600);
  // existing files stay
  expect(await deploy('setup', fleet.file, '--certs', certs)).toMatchObject({ exitCode: 0, stdout: '' });
  server = await startNatsServer({ config: fleet.configs['nats-1'] ?? '' });

  const setup = await deploy('setup', fleet.file, '--json');
  expect([setup.exitCode, setup.stderr, statesIn(setup.stdout)]).toEqual([0, '', Array(6).fill('made')]);
  const again = await deploy('setup', fleet.file, '--json');
  expect([again.exitCode, statesIn(again.stdout)]).toEqual([0, Array(6).fill('there')]);

  const [source, carl, dora] = [await simHost('alfa'), await simHost('carl'), await simHost('dora')];
  await source.zfs('create', 'pool/a');
  await source.zfs('set', 'zfs-sim:write=3000000', 'pool/a');
  await source.zfs('snapshot', 'pool/a@1');
  for (const [service, host] of [
    ['sender', source],
    ['receiver', carl],
    ['receiver', dora],
  ] as const) {
    const env = { ...host.env, ...envOf(host.name), ...quick, ZPSEND_ALLOW: '*=pool' };
    const running = await startService(service, env);
    onTestFinished(async () => void (await running.end('SIGTERM')));
  }
  const admin = await useBus(url(), { env: envOf('ops') });
  const ask = async (verb: 'start' | 'status', body: object) =>
    (await admin.nc.request(subjects.send('alfa', verb), JSON.stringify(body), { timeout: 20_000 })).json();
  for (const more of [{ to: { host: 'carl' } }, { to: { host: 'dora' }, channel: 'store' }]) {
    const { job } = sendStartedSchema.parse(await ask('start', { dataset: 'pool/a', ...more }));
    const state = async () => sendStatusSchema.parse(await ask('status', { job })).jobs[0]?.state;
    await expect.poll(state, { timeout: 60_000 }).toBe('done');
  }
  for (const host of [carl, dora]) {
    const arrived = () => host.zfs('list', '-H', '-o', 'name', 'pool/a@1').catch(() => '');
    await expect.poll(arrived, { timeout: 60_000 }).toBe('pool/a@1');
  }
  expect(server.logs.filter((line) => /Violation/.test(line))).toEqual([]);
}, 180_000);

test('a bucket that differs is named, and changed only with --edit', async () => {
  const manager = await jetstreamManager((await useBus(url(), { env: envOf('ops') })).nc);
  const bytes = async () => (await manager.streams.info(`KV_${locksBucket}`)).config.max_bytes;
  const before = await bytes();
  const narrower = ['setup', fleet.file, '--max-bucket-size', '8M'];
  const looked = await deploy(...narrower);
  expect([looked.exitCode, await bytes()]).toEqual([3, before]);
  expect(looked.stdout).toEqual(mentions(locksBucket, 'differs', 'max_bytes', before, 8388608));
  expect((await deploy(...narrower, '--edit')).exitCode).toBe(0);
  expect(await bytes()).toBe(8 * 1024 * 1024);
  expect((await deploy(...narrower)).exitCode).toBe(0);
}, 60_000);

test('a host may not create or change the buckets', async () => {
  const env = envOf('alfa');
  const { exitCode } = await execa(
    process.execPath,
    [program, 'deploy', 'setup', fleet.file, '--edit', '--lock-seconds', '9'],
    {
      env,
      extendEnv: false,
      reject: false,
    },
  );
  expect(exitCode).toBe(1);
  const manager = await jetstreamManager((await useBus(url(), { env: envOf('ops') })).nc);
  expect((await manager.streams.info(`KV_${locksBucket}`)).config.max_age).toBe(4e9);
}, 60_000);
