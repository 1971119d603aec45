import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { newSecret } from '../../../lib/bus/channel/direct/authentic.ts';
import { publishEvent } from '../../../lib/bus/events/events.ts';
import { openLocks } from '../../../lib/bus/locks/locks.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { timing } from '../../../lib/time/timing.ts';
import { infoSchema } from '../../../schemas/host.ts';
import { listingPartSchema } from '../../../schemas/inventory.ts';
import { sendStartedSchema, sendStatusSchema } from '../../../schemas/job.ts';
import { protocol } from '../../../schemas/protocol.ts';
import { receiveReadySchema } from '../../../schemas/transfer.ts';
import { rejection, useBus } from '../../support/bus.ts';
import { type Fleet, useFleet } from '../../support/fleet.ts';
import { codesOf, mentions } from '../../support/mentions.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import { ownNatsServer } from '../../support/nats-server.ts';
import { program } from '../../support/program.ts';
import type { ServiceProcess } from '../../support/service.ts';
import type { SimHost } from '../../support/sim-host.ts';

const natsUrl = useNatsAccounts();

const body = { dataset: 'zones/test', to: { host: 'smos-00' } };
const allow = { ZPSEND_ALLOW: '*=zones' };

interface Pair {
  fleet: Fleet;
  source: SimHost;
  target: SimHost;
}

/** Two hosts, and zones/test@one on smos-01 with 30 MB in it; no service runs yet. */
async function usePair(url: string, size?: string): Promise<Pair> {
  const fleet = await useFleet(url);
  const [source, target] = await Promise.all([fleet.host('smos-01'), fleet.host('smos-00')]);
  await source.zpool('create', 'zones');
  await target.zpool('create', 'zones', ...(size === undefined ? [] : [size]));
  await source.zfs('create', 'zones/test');
  await source.zfs('set', 'zfs-sim:write=30000000', 'zones/test');
  await source.zfs('snapshot', 'zones/test@one');
  return { fleet, source, target };
}

const snapshots = (host: SimHost): Promise<string> => host.zfs('list', '-Hp', '-t', 'snapshot', '-o', 'name');

async function expectClean({ fleet, source, target }: Pair): Promise<void> {
  expect(await source.zfs('holds', '-H', 'zones/test@one')).toBe('');
  const locks = await openLocks(fleet.bus, 4);
  await expect.poll(() => locks.list(), { timeout: 30_000 }).toEqual([]);
  expect(await snapshots(target)).toBe('');
}

const received = async (host: SimHost) => (await host.processes()).filter(({ argv }) => argv.includes('receive'));

test('I7: a zfs send that fails in the middle ends the job with its reason, and sends no end', async () => {
  const pair = await usePair(natsUrl());
  const { fleet, source, target } = pair;
  await fleet.start('receiver', target, allow);
  const sender = await fleet.start('sender', source, { ZFS_SIM_FAIL: 'send:cannot send: Input/output error' });
  const types = new Set<number | undefined>();
  fleet.bus.nc.subscribe('zfs-data.>', { callback: (_, message) => void types.add(message.data[0]) });
  await fleet.bus.nc.flush();
  const job = await fleet.send('smos-01', body);
  expect(job).toMatchObject({ state: 'failed', done: 0, error: { code: 'INTERNAL' } });
  expect(job.error?.message).toEqual(mentions('Input/output error'));
  expect([...types].sort()).toEqual([0, 2, 3]);
  await expectClean(pair);
  expect(await received(target)).not.toEqual([]);

  await sender.end();
  await fleet.start('sender', source);
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done', done: 1 });
  expect(await snapshots(target)).toBe('zones/test@one');
});

test('a zfs receive that fails in the middle ends the job with its reason', async () => {
  const pair = await usePair(natsUrl());
  const { fleet, source, target } = pair;
  const failing = { ...allow, ZFS_SIM_FAIL: 'receive:cannot receive new filesystem stream: Input/output error' };
  const receiver = await fleet.start('receiver', target, failing);
  await fleet.start('sender', source);
  const job = await fleet.send('smos-01', body);
  expect(job).toMatchObject({ state: 'failed', done: 0, error: { code: 'INTERNAL' } });
  expect(job.error?.message).toEqual(mentions('Input/output error'));
  await expectClean(pair);

  await receiver.end();
  await fleet.start('receiver', target, allow);
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done', done: 1 });
});

test('a full pool is NO_SPACE, and the receiver continues', async () => {
  const pair = await usePair(natsUrl(), '8M');
  const { fleet, source, target } = pair;
  await fleet.start('receiver', target, allow);
  await fleet.start('sender', source);
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'failed', error: { code: 'NO_SPACE' } });
  await expectClean(pair);
  await source.zfs('create', 'zones/small');
  await source.zfs('snapshot', 'zones/small@one');
  const small = { ...body, dataset: 'zones/small' };
  expect(await fleet.send('smos-01', small)).toMatchObject({ state: 'done', done: 1 });
});

const systemZfs = ['/usr/local/sbin/zfs', '/usr/sbin/zfs', '/sbin/zfs', '/usr/bin/zfs', '/bin/zfs'].some(existsSync);

test.skipIf(systemZfs)('hosts without zfs answer UNSUPPORTED, and serve when it comes', async () => {
  const { fleet, source, target } = await usePair(natsUrl());
  const without = { PATH: '/nonexistent' };
  const receiver = await fleet.start('receiver', target, { ...allow, ...without });
  const sender = await fleet.start('sender', source, without);
  const error = await rejection(fleet.ask(subjects.snapshots('smos-00'), {}, listingPartSchema));
  expect(error).toMatchObject({ code: 'UNSUPPORTED' });
  expect(error.message).toEqual(mentions('zfs', 'PATH', 'OpenZFS'));
  for (const host of ['smos-00', 'smos-01']) {
    const info = await fleet.ask(subjects.info(host), {}, infoSchema);
    expect(info).toMatchObject({ host, zfsError: mentions('zfs', 'PATH') });
  }
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'failed', error: { code: 'UNSUPPORTED' } });

  // the sender alone has one
  await sender.end();
  await fleet.start('sender', source);
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'failed', error: { code: 'UNSUPPORTED' } });
  expect(await source.zfs('holds', '-H', 'zones/test@one')).toBe('');
  await receiver.end();
  await fleet.start('receiver', target, allow);
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done', done: 1 });
});

test('without JetStream a receiver logs that, refuses to receive, and answers everything else; jobs and zpsend status fail with the reason', async () => {
  const nats = await ownNatsServer({});
  const { fleet, source, target } = await usePair(nats.url);
  const receiver = await fleet.start('receiver', target, allow);
  await receiver.logged('locks.unavailable');
  await fleet.start('sender', source);
  const start = {
    transfer: 'transfer1',
    protocol,
    secret: newSecret(),
    job: 'jobjobjob1',
    sourceHost: 'smos-01',
    targetDataset: 'zones/test',
    to: { name: 'zones/test@one', guid: '1' },
    partial: 'resume',
  };
  for (let n = 0; n < 2; n += 1) {
    const error = await rejection(fleet.ask(subjects.receive('smos-00', 'start'), start, receiveReadySchema));
    expect(error).toMatchObject({ code: 'UNSUPPORTED' });
    expect(error.message).toEqual(mentions('nats-server', '-js'));
  }
  // nothing is received without a lock
  const job = await fleet.send('smos-01', body);
  expect([job.state, job.error?.code, job.error?.message]).toEqual(['failed', 'UNSUPPORTED', mentions('JetStream')]);
  const env = { ...source.env, NATS_URL: nats.url };
  const status = await execa(process.execPath, [program, 'status'], { env, extendEnv: false, reject: false });
  expect([status.exitCode, codesOf(status.stderr), status.stderr]).toEqual([1, ['UNSUPPORTED'], mentions('JetStream')]);
  expect(await source.zfs('holds', '-H', 'zones/test@one')).toBe('');
  expect(await target.zfs('list', '-Hp', '-o', 'name')).toBe('zones');
  expect(await fleet.ask(subjects.snapshots('smos-00'), {}, listingPartSchema)).toMatchObject({ host: 'smos-00' });
});

test('services that start before NATS log that they wait for it, and work when it comes', async () => {
  const nats = await ownNatsServer();
  const pair = await usePair(nats.url);
  const { fleet, source, target } = pair;
  await nats.kill();
  const services = await Promise.all([
    fleet.start('receiver', target, allow, { waitReady: false }),
    fleet.start('sender', source, {}, { waitReady: false }),
  ]);
  await Promise.all(services.map((service) => service.logged('nats.waiting')));
  await nats.restart();
  await Promise.all(services.map((service) => service.logged('service.ready')));
  await expect.poll(() => fleet.bus.connected, { timeout: 10_000 }).toBe(true);
  expect(await fleet.send('smos-01', body)).toMatchObject({ state: 'done', done: 1 });
});

test('a snapshot whose name is too long below its target is BAD_REQUEST before anything of its chain is sent', async () => {
  const pair = await usePair(natsUrl());
  const { fleet, source, target } = pair;
  await target.zfs('create', 'zones/backup');
  await source.zfs('snapshot', `zones/test@${'a'.repeat(240)}`);
  const receiver = await fleet.start('receiver', target, allow);
  await fleet.start('sender', source);
  const job = await fleet.send('smos-01', { ...body, to: { host: 'smos-00', dataset: 'zones/backup/test' } });
  expect(job).toMatchObject({ state: 'failed', done: 0, error: { code: 'BAD_REQUEST' } });
  expect(job.error?.message).toEqual(mentions(255));
  expect(await source.zfs('holds', '-H', 'zones/test@one')).toBe('');
  const locks = await openLocks(fleet.bus, 4);
  await expect.poll(() => locks.list(), { timeout: 30_000 }).toEqual([]);
  expect(await receiver.end()).toBe(0);
});

test('a status has all jobs, however many were refused, and one by its id has its evidence', async () => {
  // messages an eighth of the usual size, instead of eight times as many jobs
  const nats = await ownNatsServer({ jetstream: true, config: 'max_payload: 131072' });
  const { fleet, source, target } = await usePair(nats.url);
  await source.zfs('zfs-sim-fill', 'zones/test', '500');
  await target.zfs('create', 'zones/test');
  await target.zfs('zfs-sim-fill', 'zones/test', '500');
  await fleet.start('receiver', target, allow);
  await fleet.start('sender', source);
  await source.zfs('create', 'zones/other');
  await source.zfs('snapshot', 'zones/other@one');
  const jobs: string[] = [];
  for (let n = 0; n < 16; n += 1) jobs.push(await fleet.begin('smos-01', body));
  // as many as a sender runs at a time: more wait until these have ended
  const ended = await Promise.all(jobs.map((job) => fleet.ended('smos-01', job)));
  // what is long in a package's job
  const pattern = 'none'.repeat(60);
  const exclude = Array.from({ length: 32 }, (_, n) => `${pattern}${n}`);
  const other = { dataset: 'zones/other', to: { host: 'smos-00' }, package: 'replication' };
  await fleet.send('smos-01', other);
  const long = { ...other, exclude };
  const others: string[] = [];
  for (let n = 0; n < 16; n += 1) others.push(await fleet.begin('smos-01', long));
  const [first] = await Promise.all(others.map((job) => fleet.ended('smos-01', job)));
  expect(first?.notes).toHaveLength(32);
  expect(ended[0]).toMatchObject({ state: 'failed', error: { code: 'DIVERGED' } });
  expect(ended[0]?.evidence?.sourceOnly).toHaveLength(500);
  const all = await fleet.ask(subjects.send('smos-01', 'status'), {}, sendStatusSchema);
  expect(all.jobs.map(({ job }) => job)).toEqual(expect.arrayContaining(jobs));
  expect(all.jobs).toHaveLength(33);
  const running = await fleet.ask(subjects.send('smos-01', 'status'), { running: true }, sendStatusSchema);
  expect(running.jobs).toEqual([]);
  expect(all.jobs.filter(({ evidence }) => evidence)).toEqual([]);
  expect(await fleet.status('smos-01', jobs[0] ?? ''), 'an ended job takes no more time').toEqual(ended[0]);
});

test('an event that cannot be published fails nothing', async () => {
  const bus = await useBus(natsUrl());
  const event = subjects.event('smos-01', 'job', 'failed');
  publishEvent(bus, event, { text: 'a'.repeat(2_000_000) });
  await bus.close();
  publishEvent(bus, event, {});
});

test('I3: the holds of a job stay while its sender is too busy to answer the next one at once', async () => {
  const { fleet, source, target } = await usePair(natsUrl());
  await fleet.start('receiver', target, { ...allow, ZFS_SIM_RECV_RATE: '500K' });
  const [first, second] = await Promise.all([fleet.start('sender', source), fleet.start('sender', source)]);
  const begin = async ({ lines }: ServiceProcess, dataset: string): Promise<string> => {
    const instance = lines('service.ready')[0]?.instance ?? '';
    const subject = subjects.instance(subjects.send('smos-01', 'start'), instance);
    return (await fleet.ask(subject, { ...body, to: { host: 'smos-00', dataset } }, sendStartedSchema)).job;
  };
  const job = await begin(first, 'zones/test');
  const holds = () => source.zfs('holds', '-H', 'zones/test@one');
  await expect.poll(holds, { timeout: 10_000 }).toContain(`zpsend:${job}`);
  process.kill(first.pid, 'SIGSTOP');
  await begin(second, 'zones/other');
  // busy for a good part of the time that senders have to claim a job
  await sleep(0.4 * timing.job.claimMs);
  process.kill(first.pid, 'SIGCONT');
  await second.logged('step.asked');
  expect(await holds()).toContain(`zpsend:${job}`);
});
