import { jetstream } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { fleetRow } from '../../../cli/output/replication.ts';
import { readStatus, type StoredStatus } from '../../../lib/bus/status/read.ts';
import { statusBucket, statusKey } from '../../../lib/bus/subjects.ts';
import { fanStartedSchema } from '../../../schemas/job.ts';
import { fleetOutputSchema } from '../../../schemas/status.ts';
import { useBus } from '../../support/bus.ts';
import { configured } from '../../support/configured.ts';
import { type Fleet, useFleet } from '../../support/fleet.ts';
import { codesOf, mentions } from '../../support/mentions.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import { ownNatsServer } from '../../support/nats-server.ts';
import { program } from '../../support/program.ts';
import type { ServiceProcess } from '../../support/service.ts';
import type { SimHost } from '../../support/sim-host.ts';

const natsUrl = useNatsAccounts();
const allow = { ZPSEND_ALLOW: '*=pool' };

interface World {
  readonly fleet: Fleet;
  readonly source: SimHost;
  readonly sender: ServiceProcess;
  /** Receiving hosts, by the names that they were asked for by. */
  readonly targets: readonly SimHost[];
}

let worlds = 0;

/** A source with `pool/a`, and receivers; hosts are of other names in each test. @param env of each receiver */
async function useWorld(...env: NodeJS.ProcessEnv[]): Promise<World> {
  const fleet = await useFleet(natsUrl());
  const world = ++worlds;
  const source = await fleet.host(`src${world}`);
  const targets = await Promise.all(env.map((_, at) => fleet.host(`dst${world}-${at}`)));
  for (const host of [source, ...targets]) await host.zpool('create', 'pool');
  await source.zfs('create', 'pool/a');
  const sender = await fleet.start('sender', source);
  await Promise.all(targets.map((host, at) => fleet.start('receiver', host, { ...allow, ...env[at] })));
  return { fleet, source, sender, targets };
}

async function snapshot(host: SimHost, bytes: number, ...names: string[]): Promise<void> {
  for (const name of names) {
    await host.zfs('set', `zfs-sim:write=${bytes}`, 'pool/a');
    await host.zfs('snapshot', `pool/a@${name}`);
  }
}

const to = (target: SimHost | undefined) => ({ dataset: 'pool/a', to: { host: target?.name ?? '' } });

async function rows({ fleet, source }: Pick<World, 'fleet' | 'source'>) {
  const news = await readStatus(fleet.bus, source.name);
  return news?.found.map((one) => fleetRow(one, news.now)) ?? [];
}
const rowTo = async (world: World, target: SimHost | undefined) =>
  (await rows(world)).find((row) => row.target === target?.name);
/** Entries are written once a second. */
const expectRow = (world: World, target: SimHost | undefined) =>
  expect.poll(() => rowTo(world, target), { timeout: 15_000 });

const zpsend = ({ source }: World, ...argv: string[]) =>
  execa(process.execPath, [program, ...argv], {
    env: { ...source.env, NATS_URL: natsUrl() },
    extendEnv: false,
    reject: false,
  });

test('a send leaves what arrived, and the next plan counts what the source has made since', async () => {
  const world = await useWorld({});
  const [target] = world.targets;
  await snapshot(world.source, 1_000_000, '1', '2');
  const sent = await world.fleet.send(world.source.name, to(target));
  const guid = await world.source.zfs('get', '-Hp', '-o', 'value', 'guid', 'pool/a@2');
  const creation = Number(await world.source.zfs('get', '-Hp', '-o', 'value', 'creation', 'pool/a@2'));
  await expectRow(world, target).toMatchObject({
    ...{ dataset: 'pool/a', into: 'pool/a', state: 'current' },
    ...{ sent: { name: '2', guid, creation }, newest: { name: '2' }, lag: { snapshots: 0, bytes: 0, seconds: 0 } },
    run: { job: sent.job, state: 'done', done: 2, bytes: sent.bytes },
  });

  await snapshot(world.source, 1_000_000, '3', '4');
  // the job's snapshot is there already, and its plan looks at all there are
  await world.fleet.send(world.source.name, { ...to(target), dataset: 'pool/a@2' });
  await expectRow(world, target).toMatchObject({
    ...{ sent: { name: '2' }, newest: { name: '4' }, state: 'behind', lag: { snapshots: 2, bytes: 2_000_000 } },
  });
});

test('a dataset has a row for each place that it goes to, and a job of a package one for each dataset', async () => {
  const world = await useWorld({});
  const [target] = world.targets;
  await world.source.zfs('create', 'pool/a/my data:1.0');
  await world.source.zfs('snapshot', '-r', 'pool/a@1');
  for (const dataset of [undefined, 'pool/copy']) {
    const request = { dataset: 'pool/a', package: 'replication', to: { host: target?.name, dataset } };
    expect((await world.fleet.send(world.source.name, request)).state).toBe('done');
  }
  const places = async () => (await rows(world)).map(({ dataset, into, state }) => [dataset, into, state]).sort();
  await expect.poll(places, { timeout: 15_000 }).toEqual([
    ['pool/a', 'pool/a', 'current'],
    ['pool/a', 'pool/copy', 'current'],
    ['pool/a/my data:1.0', 'pool/a/my data:1.0', 'current'],
    ['pool/a/my data:1.0', 'pool/copy/my data:1.0', 'current'],
  ]);
});

test('of several targets the one that fails has the error once it was sent something, and the others have none', async () => {
  const world = await useWorld({}, { ZPSEND_ALLOW: '*=pool/elsewhere' });
  const [good, bad] = world.targets;
  await snapshot(world.source, 1_000_000, '1');
  const request = { dataset: 'pool/a', to: world.targets.map(({ name }) => ({ host: name })) };
  const sendToAll = async (): Promise<void> => {
    const { jobs } = await world.fleet.ask(`zfs.${world.source.name}.send.start`, request, fanStartedSchema);
    await Promise.all(jobs.map((job) => world.fleet.ended(world.source.name, job)));
  };
  await sendToAll();
  await expectRow(world, good).toMatchObject({ state: 'current' });
  // nothing was ever sent there, nor to what is not there: a mistake in a command is no replication
  for (const host of ['no-such-host', bad?.name]) {
    const asked = { dataset: 'pool/a', to: { host, dataset: 'nopool/a' } };
    expect((await zpsend(world, 'send', '-q', asked.dataset, `${host}:${asked.to.dataset}`)).exitCode).toBe(1);
  }
  expect((await rows(world)).map(({ target }) => target)).toEqual([good?.name]);

  await bad?.zfs('create', 'pool/elsewhere');
  const elsewhere = { dataset: 'pool/a', to: { host: bad?.name, dataset: 'pool/elsewhere/a' } };
  expect((await world.fleet.send(world.source.name, elsewhere)).state).toBe('done');
  await expectRow(world, bad).toMatchObject({ into: 'pool/elsewhere/a', state: 'current' });
  await bad?.zfs('rename', 'pool/elsewhere/a', 'pool/a');
  await snapshot(world.source, 1_000_000, '2');
  await sendToAll();
  const failed = async () => (await rows(world)).find(({ state }) => state === 'failed');
  await expect.poll(failed, { timeout: 15_000 }).toMatchObject({
    ...{ target: bad?.name, into: 'pool/a', sent: { name: '1' }, error: { code: 'NOT_ALLOWED' } },
    ...{ lag: { snapshots: 1 }, newest: { name: '2' } },
  });
  expect(await rowTo(world, good)).not.toHaveProperty('error');
  const checked = await zpsend(world, 'status', '--check', `${bad?.name}:pool`);
  expect([checked.exitCode, checked.stdout]).toEqual([
    2,
    mentions('ZPSEND CRITICAL', 2, '1 failed', '1 current', 'NOT_ALLOWED'),
  ]);
  expect((await zpsend(world, 'status', '--check', `${good?.name}`)).exitCode).toBe(0);
  const none = await zpsend(world, 'status', '--check', 'pool/none');
  expect([none.exitCode, none.stdout]).toEqual([3, mentions('pool/none')]);
}, 120_000);

test('a resident sender keeps rows fresh that nobody sends, and without one they become stale', async () => {
  const world = await useWorld({});
  const [target] = world.targets;
  await world.source.zfs('create', 'pool/b');
  await world.source.zfs('snapshot', 'pool/b@1');
  await snapshot(world.source, 1_000_000, '1');
  for (const dataset of ['pool/a', 'pool/b'])
    expect((await world.fleet.send(world.source.name, { ...to(target), dataset })).state).toBe('done');
  await expect.poll(async () => (await rows(world)).map(({ state }) => state)).toEqual(['current', 'current']);
  await world.sender.end('SIGTERM');
  await world.source.zfs('destroy', '-r', 'pool/b');
  await snapshot(world.source, 1_000_000, '2', '3');
  const resident = await world.fleet.start('sender', world.source, configured('send: { reconcileMinutes: 0.05 }'));
  const rowOf = async (dataset: string) => (await rows(world)).find((row) => row.dataset === dataset);
  await expect
    .poll(() => rowOf('pool/a'), { timeout: 30_000 })
    .toMatchObject({
      ...{ state: 'behind', sent: { name: '1' }, newest: { name: '3' }, lag: { snapshots: 2, bytes: 2_000_000 } },
      ...{ reconcileSeconds: 3, staleAfter: 66, run: { state: 'done' } },
    });
  // its source is gone
  expect(await rowOf('pool/b')).toMatchObject({ newest: { name: '1' }, reconcileSeconds: 600, staleAfter: 1260 });
  await resident.end('SIGTERM');
  const news = await readStatus(world.fleet.bus, world.source.name);
  const one = news?.found.find(({ dataset }) => dataset === 'pool/a') as StoredStatus;
  expect(fleetRow(one, one.stored + 60_000).state).toBe('behind');
  expect(fleetRow(one, one.stored + 70_000).state).toBe('stale');
  const shown = await zpsend(world, 'status', '--json', '--stale', '0s', `${world.source.name}:pool/a`);
  expect(fleetOutputSchema.parse(JSON.parse(shown.stdout)).rows).toMatchObject([{ dataset: 'pool/a', state: 'stale' }]);
}, 120_000);

test('a target that is away keeps what it has in every row of the package, while the lag grows', async () => {
  const world = await useWorld({});
  const [target] = world.targets;
  await world.source.zfs('create', 'pool/a/b');
  await world.source.zfs('snapshot', '-r', 'pool/a@1');
  const away = await world.fleet.host(`away${worlds}`);
  await away.zpool('create', 'pool');
  const receiver = await world.fleet.start('receiver', away, allow);
  const request = (host: string | undefined) => ({ dataset: 'pool/a', package: 'replication', to: { host } });
  for (const host of [target, away]) await world.fleet.send(world.source.name, request(host?.name));
  await receiver.end('SIGTERM');
  await world.source.zfs('snapshot', '-r', 'pool/a@2');
  expect((await world.fleet.send(world.source.name, request(away.name))).error?.code).toBe('UNREACHABLE');
  const states = async () =>
    (await rows(world))
      .map(({ dataset, target: to, state, lag, sent, error }) => [
        ...[dataset, to === away.name, state, sent?.name, lag?.snapshots, error?.code],
      ])
      .sort();
  await expect.poll(states, { timeout: 15_000 }).toEqual([
    ['pool/a', false, 'current', '1', 0, undefined],
    ['pool/a', true, 'failed', '1', 1, 'UNREACHABLE'],
    ['pool/a/b', false, 'current', '1', 0, undefined],
    ['pool/a/b', true, 'failed', '1', 1, 'UNREACHABLE'],
  ]);
}, 120_000);

/** A job that takes its time: 60 MB at 4 MB a second. */
async function beginLong(world: World): Promise<string> {
  await snapshot(world.source, 60_000_000, '1');
  const job = await world.fleet.begin(world.source.name, to(world.targets[0]));
  await expectRow(world, world.targets[0]).toMatchObject({ state: 'running', run: { job, rate: expect.any(Number) } });
  return job;
}
const slow = { ZFS_SIM_RECV_RATE: '4M' };

test('a sender that is killed leaves an entry that a reader soon takes for silent', async () => {
  const world = await useWorld(slow);
  await beginLong(world);
  await world.sender.end('SIGKILL');
  const stored = (await readStatus(world.fleet.bus, world.source.name))?.found[0] as StoredStatus;
  expect(stored.entry.run?.state).toBe('running');
  expect(fleetRow(stored, stored.stored + 1000).state).toBe('running');
  expect(fleetRow(stored, stored.stored + 60_000).state).toBe('silent');
});

test('a sender that is stopped says first that what it was sending has failed', async () => {
  const world = await useWorld(slow);
  await beginLong(world);
  await world.sender.end('SIGTERM');
  expect(await rowTo(world, world.targets[0])).toMatchObject({ state: 'failed', error: { code: 'ABORTED' } });
});

test('a bucket that is deleted while a job runs disturbs nothing, and comes again with it', async () => {
  const world = await useWorld(slow);
  const job = await beginLong(world);
  await (await new Kvm(jetstream(world.fleet.bus.nc)).open(statusBucket)).destroy();
  expect(await readStatus(world.fleet.bus)).toBeUndefined();
  await expectRow(world, world.targets[0]).toMatchObject({ state: 'running', run: { job } });
  expect((await world.fleet.ended(world.source.name, job)).state).toBe('done');
  await expectRow(world, world.targets[0]).toMatchObject({ state: 'current' });
}, 120_000);

test('zpsend status shows the fleet, passes over what others keep in the bucket, and forgets a row', async () => {
  const world = await useWorld({});
  const [target] = world.targets;
  await snapshot(world.source, 1_000_000, '1');
  await world.fleet.send(world.source.name, to(target));
  await expectRow(world, target).toMatchObject({ state: 'current' });
  const kv = await new Kvm(jetstream(world.fleet.bus.nc)).open(statusBucket);
  await kv.put(`${world.source.name}.delivered.x`, 'not ours');
  await kv.put(`${world.source.name}.to.x.pool/odd`, '{"written":"never"}');

  const people = await zpsend(world, 'status');
  expect(people.stdout).toMatch(/^SOURCE +DATASET +TARGET +NEWEST SENT +LAG +BYTES +TIME +STATE +RATE +AS OF +ERROR$/m);
  expect(people.stdout).toMatch(new RegExp(`^${world.source.name} +pool/a +${target?.name} +@1 +0 .*current`, 'm'));
  const json = await zpsend(world, 'status', '--json');
  const mine = fleetOutputSchema
    .parse(JSON.parse(json.stdout))
    .rows.filter(({ source }) => source === world.source.name);
  expect(mine).toMatchObject([{ dataset: 'pool/a', state: 'current' }]);
  expect((await kv.get(mine[0]?.key ?? ''))?.json()).toMatchObject({ sent: { name: '1' } });

  const forget = () => zpsend(world, 'status', '--forget', 'pool/a', target?.name ?? '');
  expect((await forget()).exitCode).toBe(0);
  expect(await rows(world)).toEqual([]);
  const nothing = await forget();
  expect([nothing.exitCode, codesOf(nothing.stderr)]).toEqual([1, ['NO_SUCH_DATASET']]);
});

test('zpsend status -w --json tells of what changes', async () => {
  const world = await useWorld(slow);
  const watching = zpsend(world, 'status', '-w', '--json');
  onTestFinished(async () => {
    watching.kill('SIGTERM');
    await watching;
  });
  const states: string[] = [];
  const follow = (async () => {
    for await (const line of watching.iterable()) {
      const { rows: told } = fleetOutputSchema.parse(JSON.parse(line));
      states.push(...told.filter(({ source }) => source === world.source.name).map(({ state }) => state));
    }
  })().catch(() => {});
  const job = await beginLong(world);
  await world.fleet.ended(world.source.name, job);
  await expect.poll(() => states.at(-1), { timeout: 15_000 }).toBe('current');
  expect(states).toContain('running');
  watching.kill('SIGTERM');
  await follow;
}, 120_000);

test('without JetStream jobs end as they would, and the command says why there is no status', async () => {
  const bare = await ownNatsServer({ jetstream: false });
  const fleet = await useFleet(bare.url);
  const [source, target] = [await fleet.host('bare-src'), await fleet.host('bare-dst')];
  for (const host of [source, target]) await host.zpool('create', 'pool');
  await source.zfs('create', 'pool/a');
  await snapshot(source, 1_000_000, '1');
  await fleet.start('sender', source);
  await fleet.start('receiver', target, allow);
  const { state, error } = await fleet.send('bare-src', { dataset: 'pool/a', to: { host: 'bare-dst' } });
  // nothing is received without a lock
  expect([state, error?.code, error?.message]).toEqual(['failed', 'UNSUPPORTED', mentions('JetStream')]);
  const env = { ...source.env, NATS_URL: bare.url };
  const shown = await execa(process.execPath, [program, 'status'], { env, extendEnv: false, reject: false });
  expect([shown.exitCode, codesOf(shown.stderr), shown.stderr]).toEqual([1, ['UNSUPPORTED'], mentions('JetStream')]);
});

test('where there is no bucket the command says so, and a sender that may not make one goes on without', async () => {
  const config = `authorization { users: [
    { user: admin, password: pw }
    { user: host, password: pw, permissions: { publish: { deny: ["$JS.API.STREAM.CREATE.KV_${statusBucket}"] } } }
  ] }`;
  const guarded = await ownNatsServer({ jetstream: true, config });
  const login = { NATS_URL: guarded.url, NATS_USER: 'host', NATS_PASSWORD: 'pw' };
  const bus = await useBus(guarded.url, { env: { ...login, NATS_USER: 'admin' } });
  const fleet = await useFleet(guarded.url.replace('//', '//admin:pw@'));
  const [source, target] = [await fleet.host('kept-src'), await fleet.host('kept-dst')];
  for (const host of [source, target]) await host.zpool('create', 'pool');
  await source.zfs('create', 'pool/a');
  await snapshot(source, 1_000_000, '1');
  const sender = await fleet.start('sender', source, login);
  await fleet.start('receiver', target, { ...login, ...allow });
  const request = { dataset: 'pool/a', to: { host: 'kept-dst' } };
  expect((await fleet.send('kept-src', request)).state).toBe('done');
  await sender.logged('status.write-failed');
  const shown = await execa(process.execPath, [program, 'status'], {
    ...{ env: { ...source.env, ...login }, extendEnv: false, reject: false },
  });
  expect([shown.exitCode, shown.stdout, shown.stderr]).toEqual([0, '', mentions('nats kv add')]);

  await new Kvm(jetstream(bus.nc)).create(statusBucket, { history: 1 });
  const place = { source: 'kept-src', target: 'kept-dst', dataset: 'pool/a', into: 'pool/a' };
  const kept = async () => (await readStatus(bus))?.found.map(statusKey);
  await expect.poll(kept, { timeout: 30_000 }).toEqual([statusKey(place)]);
  await sender.logged('status.written-again');
}, 120_000);
