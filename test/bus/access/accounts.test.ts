import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { makeStreams } from '../../../lib/bus/channel/store/create-bucket.ts';
import { type Bus, connectBus } from '../../../lib/bus/connection/connect.ts';
import { listLocks } from '../../../lib/bus/locks/locks.ts';
import {
  eventsStream,
  hostsBucket,
  lockKey,
  locksBucket,
  parseStoredName,
  policiesBucket,
  statusBucket,
  subjects,
} from '../../../lib/bus/subjects.ts';
import { fanStartedSchema, sendStartedSchema, sendStatusSchema } from '../../../schemas/job.ts';
import { fleetOutputSchema } from '../../../schemas/status.ts';
import { type NatsServer, startNatsServer } from '../../../tools/nats-server/start.ts';
import { type AccountFleet, makeAccountFleet } from '../../support/account-fleet.ts';
import { useBus } from '../../support/bus.ts';
import { quick } from '../../support/fleet.ts';
import { program } from '../../support/program.ts';
import { startService } from '../../support/service.ts';
import { makeSimHost, type SimHost } from '../../support/sim-host.ts';
import { streamsOf } from '../../support/streams.ts';

/** alfa sends, carl receives, and bravo does both; bravo is the one who attacks. */
const hosts = {
  alfa: { roles: ['sender'] },
  carl: { roles: ['receiver'], from: ['alfa'] },
  bravo: { from: ['alfa'] },
} satisfies Parameters<typeof makeAccountFleet>[0]['hosts'];
type Name = keyof typeof hosts | 'ops' | 'looker';

let fleet: AccountFleet;
let server: NatsServer;

const envOf = (name: Name): NodeJS.ProcessEnv => ({ NATS_URL: server.url, ...fleet.env[name] });
const as = (name: Name): Promise<Bus> => useBus(server.url, { host: name, env: envOf(name) });

async function makeBuckets(): Promise<void> {
  const admin = await connectBus({ name: 'ops', env: envOf('ops'), wait: false });
  const buckets = new Kvm(jetstream(admin.nc));
  await buckets.create(locksBucket, { history: 1, ttl: 4000 });
  await buckets.create(statusBucket, { history: 1 });
  await buckets.create(hostsBucket, { history: 1 });
  const policies = await buckets.create(policiesBucket, { history: 8 });
  await policies.put('alfa.b', JSON.stringify({ dataset: 'pool/b', to: ['carl'] }));
  for (const source of ['alfa', 'bravo'] as const)
    await makeStreams(admin, source, { maxBytes: 256 * 1024 * 1024, maxAgeSeconds: 600, replicas: 1 });
  const subject = subjects.snapshotCreated('*');
  await (await jetstreamManager(admin.nc)).streams.add({ name: eventsStream, subjects: [subject] });
  await admin.close();
}

beforeAll(async () => {
  fleet = await makeAccountFleet({ hosts });
  server = await startNatsServer({ config: fleet.configs['nats-1'] ?? '' });
  await makeBuckets();
});
afterAll(async () => {
  await server?.stop();
  await fleet?.remove();
});

async function simHost(name: keyof typeof hosts): Promise<SimHost> {
  const host = await makeSimHost(name);
  onTestFinished(() => host.remove());
  await host.zpool('create', 'pool');
  return host;
}

async function start(service: 'sender' | 'receiver', host: SimHost) {
  const more = { ...envOf(host.name as Name), ...quick, ZPSEND_ALLOW: '*=pool' };
  const running = await startService(service, { ...host.env, ...more });
  onTestFinished(async () => void (await running.end('SIGTERM')));
  return running;
}

const zpsend = (name: Name, env: NodeJS.ProcessEnv, ...argv: string[]) =>
  execa(process.execPath, [program, ...argv], {
    env: { ZPSEND_HOST: name, ...envOf(name), ...env },
    extendEnv: false,
    reject: false,
  });

test('through accounts hosts send, fan out, store, fetch, lock, are asked about and hear events and policies', async () => {
  const [source, target, both] = [await simHost('alfa'), await simHost('carl'), await simHost('bravo')];
  await source.zfs('create', 'pool/a');
  for (const name of ['1', '2']) {
    await source.zfs('set', 'zfs-sim:write=3000000', 'pool/a');
    await source.zfs('snapshot', `pool/a@${name}`);
  }
  const services = [await start('sender', source), await start('receiver', target), await start('receiver', both)];
  const admin = await as('ops');
  const ask = async (subject: string, body: object) =>
    (await admin.nc.request(subject, JSON.stringify(body), { timeout: 20_000 })).json();
  const ended = (job: string) =>
    expect
      .poll(async () => sendStatusSchema.parse(await ask(subjects.send('alfa', 'status'), { job })).jobs[0], {
        timeout: 60_000,
      })
      .toMatchObject({ state: 'done', done: 2 });
  const to = [{ host: 'carl' }, { host: 'bravo' }];
  const { jobs } = fanStartedSchema.parse(await ask(subjects.send('alfa', 'start'), { dataset: 'pool/a', to }));
  for (const job of jobs) await ended(job);
  // a policy of the bucket, and an event out of the stream
  await source.zfs('create', 'pool/b');
  await source.zfs('snapshot', 'pool/b@1');
  admin.nc.publish(subjects.snapshotCreated('alfa'), 'pool/b@1');
  const arrived = () => target.zfs('list', '-Hp', '-t', 'snapshot', '-o', 'name', 'pool/b').catch(() => '');
  await expect.poll(arrived, { timeout: 60_000 }).toBe('pool/b@1');
  const manager = await jetstreamManager(admin.nc);
  const unheard = async () => {
    const { num_pending, num_ack_pending } = await manager.consumers.info(eventsStream, 'alfa');
    return num_pending + num_ack_pending;
  };
  await expect.poll(unheard, { timeout: 10_000 }).toBe(0);
  // through the store
  const body = { dataset: 'pool/a', to: { host: 'carl', dataset: 'pool/stored' }, channel: 'store' };
  await ended(sendStartedSchema.parse(await ask(subjects.send('alfa', 'start'), body)).job);
  const taken = () => target.zfs('list', '-Hp', '-t', 'snapshot', '-o', 'name', 'pool/stored').catch(() => '');
  await expect.poll(taken, { timeout: 60_000 }).toBe('pool/stored@1\npool/stored@2');
  const streams = await streamsOf(admin, 'alfa');
  const kept = async () => (await streams.names()).filter((name) => parseStoredName(name)?.kind !== 'known');
  await expect.poll(kept, { timeout: 60_000 }).toEqual([]);
  // who writes where, every host may see
  const lock = { owner: 'o', nonce: 'n', transferHash: '0123456789abcdef', source: 'alfa' };
  await (await new Kvm(jetstream(admin.nc)).open(locksBucket)).put(lockKey('bravo', 'pool/x'), JSON.stringify(lock));
  expect(await listLocks(await as('carl'))).toContainEqual(
    expect.objectContaining({ host: 'bravo', dataset: 'pool/x' }),
  );
  // commands on a host as its own user
  for (const argv of [
    ['verify', '--data', 'pool/a', 'carl'],
    ['hosts'],
    ['snapshots', 'bravo'],
    ['plan', 'pool/a', 'bravo'],
    ['store', 'ls', 'alfa'],
    ['status', '--json'],
    ['doctor'],
  ]) {
    const { exitCode, stderr, stdout } = await zpsend('alfa', source.env, ...argv);
    expect([argv[0], exitCode, stderr.includes('ermission'), stdout, stderr]).toEqual([
      argv[0],
      0,
      false,
      stdout,
      stderr,
    ]);
    if (argv[0] === 'hosts') for (const host of Object.keys(hosts)) expect(stdout).toContain(host);
    if (argv[1] !== '--json') continue;
    const { rows } = fleetOutputSchema.parse(JSON.parse(stdout));
    const ofA = rows.filter(({ dataset, into }) => dataset === 'pool/a' && into === dataset);
    expect(ofA.map(({ target, state }) => [target, state])).toEqual([
      ['bravo', 'current'],
      ['carl', 'current'],
    ]);
  }
  // a viewer looks, and gives no orders
  for (const argv of [['hosts'], ['snapshots', 'bravo'], ['status', '--json'], ['locks']]) {
    const { exitCode, stderr, stdout } = await zpsend('looker', {}, ...argv);
    expect([argv[0], exitCode, stderr.includes('ermission')]).toEqual([argv[0], 0, false]);
    if (argv[0] === 'hosts') for (const host of Object.keys(hosts)) expect(stdout).toContain(host);
  }
  const names = await new Kvm(jetstream(admin.nc)).open(hostsBucket);
  for (const host of Object.keys(hosts))
    expect((await names.get(host))?.json()).toMatchObject({ machine: expect.any(String) });
  for (const { log } of services) expect(log.join('\n')).not.toMatch(/[Pp]ermission/);
  expect(server.logs.filter((line) => /Violation/.test(line))).toEqual([]);
  // who does not say in whose name he asks is found out by where his answers may come
  const unclaimedStreams = await zpsend(
    'alfa',
    { ...source.env, ZPSEND_INBOX_PREFIX: '' },
    'verify',
    '--data',
    'pool/a',
    'carl',
  );
  expect([unclaimedStreams.exitCode, unclaimedStreams.stderr]).toEqual([0, '']);
}, 180_000);

test('through accounts a policy that is put and deleted while a sender runs comes into force and goes', async () => {
  const [source, target] = [await simHost('alfa'), await simHost('carl')];
  for (const name of ['pool/b', 'pool/c']) await source.zfs('create', name);
  await start('receiver', target);
  const sender = await start('sender', source);
  await expect.poll(() => sender.lines('policy.active').at(-1)?.policies, { timeout: 20_000 }).toEqual(['alfa.b']);
  const admin = await as('ops');
  const policies = await new Kvm(jetstream(admin.nc)).open(policiesBucket);
  const snapshot = async (name: string) => {
    await source.zfs('snapshot', name);
    admin.nc.publish(subjects.snapshotCreated('alfa'), name);
  };
  const arrived = (dataset: string, names: string) =>
    expect
      .poll(() => target.zfs('list', '-Hp', '-t', 'snapshot', '-o', 'name', dataset).catch(() => ''), {
        timeout: 60_000,
      })
      .toBe(names);
  const activePolicies = () => sender.lines('policy.active').at(-1)?.policies;
  const areActive = (...names: string[]) => expect.poll(activePolicies, { timeout: 60_000 }).toEqual(names);

  await policies.put('alfa.c', JSON.stringify({ dataset: 'pool/c', to: ['carl'] }));
  await areActive('alfa.b', 'alfa.c');
  await snapshot('pool/c@1');
  await arrived('pool/c', 'pool/c@1');

  await policies.delete('alfa.c');
  await areActive('alfa.b');
  await snapshot('pool/c@2');
  // events come in their order
  await snapshot('pool/b@2');
  await arrived('pool/b', 'pool/b@2');
  await arrived('pool/c', 'pool/c@1');
}, 180_000);
