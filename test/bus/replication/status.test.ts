import { jetstream } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { expect, test } from 'vitest';
import { fleetRow } from '../../../cli/output/replication.ts';
import { openLocks } from '../../../lib/bus/locks/locks.ts';
import { readStatus, type StoredStatus } from '../../../lib/bus/status/read.ts';
import { statusBucket } from '../../../lib/bus/subjects.ts';
import { fanStartedSchema } from '../../../schemas/job.ts';
import { fleetOutputSchema } from '../../../schemas/status.ts';
import { configured } from '../../support/configured.ts';
import { mentions } from '../../support/mentions.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import {
  allow,
  beginLong,
  expectRow,
  rows,
  rowTo,
  slow,
  snapshot,
  to,
  useStatusWorld,
  zpsend,
} from '../../support/status-world.ts';

const natsUrl = useNatsAccounts();

test('a send leaves what arrived, and the next plan counts what the source has made since', async () => {
  const world = await useStatusWorld(natsUrl(), {});
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
  // the job's snapshot is there already, and its plan lists all snapshots
  await world.fleet.send(world.source.name, { ...to(target), dataset: 'pool/a@2' });
  await expectRow(world, target).toMatchObject({
    ...{ sent: { name: '2' }, newest: { name: '4' }, state: 'behind', lag: { snapshots: 2, bytes: 2_000_000 } },
  });
});

test('a dataset has a row for each target dataset, and a job of a package one for each dataset', async () => {
  const world = await useStatusWorld(natsUrl(), {});
  const [target] = world.targets;
  await world.source.zfs('create', 'pool/a/my data:1.0');
  await world.source.zfs('snapshot', '-r', 'pool/a@1');
  for (const dataset of [undefined, 'pool/copy']) {
    const request = { dataset: 'pool/a', package: 'replication', to: { host: target?.name, dataset } };
    expect((await world.fleet.send(world.source.name, request)).state).toBe('done');
  }
  const targets = async () => (await rows(world)).map(({ dataset, into, state }) => [dataset, into, state]).sort();
  await expect.poll(targets, { timeout: 15_000 }).toEqual([
    ['pool/a', 'pool/a', 'current'],
    ['pool/a', 'pool/copy', 'current'],
    ['pool/a/my data:1.0', 'pool/a/my data:1.0', 'current'],
    ['pool/a/my data:1.0', 'pool/copy/my data:1.0', 'current'],
  ]);
});

test('of several targets the one that fails has the error once it was sent something, and the others have none', async () => {
  const world = await useStatusWorld(natsUrl(), {}, { ZPSEND_ALLOW: '*=pool/elsewhere' });
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

test('a sender service keeps rows fresh without a job, and without a sender they become stale', async () => {
  const world = await useStatusWorld(natsUrl(), {});
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
  const world = await useStatusWorld(natsUrl(), {});
  const [target] = world.targets;
  await world.source.zfs('create', 'pool/a/b');
  await world.source.zfs('snapshot', '-r', 'pool/a@1');
  const away = await world.fleet.host('away');
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

test('a sender that is killed leaves an entry that a reader soon takes for silent', async () => {
  const world = await useStatusWorld(natsUrl(), slow);
  await beginLong(world);
  await world.sender.end('SIGKILL');
  const stored = (await readStatus(world.fleet.bus, world.source.name))?.found[0] as StoredStatus;
  expect(stored.entry.run?.state).toBe('running');
  expect(fleetRow(stored, stored.stored + 1000).state).toBe('running');
  expect(fleetRow(stored, stored.stored + 60_000).state).toBe('silent');
});

test('a sender that stops first reports its running datasets as failed, and leaves no hold and no lock', async () => {
  const world = await useStatusWorld(natsUrl(), slow);
  await beginLong(world);
  expect(await world.sender.end('SIGTERM')).toBe(0);
  expect(await world.source.zfs('holds', '-H', 'pool/a@1')).toBe('');
  const locks = await openLocks(world.fleet.bus, 4);
  await expect.poll(() => locks.list(), { timeout: 30_000 }).toEqual([]);
  expect(await rowTo(world, world.targets[0])).toMatchObject({ state: 'failed', error: { code: 'ABORTED' } });
});

test('a bucket that is deleted while a job runs disturbs nothing, and comes again with it', async () => {
  const world = await useStatusWorld(natsUrl(), slow);
  const job = await beginLong(world);
  await (await new Kvm(jetstream(world.fleet.bus.nc)).open(statusBucket)).destroy();
  expect(await readStatus(world.fleet.bus)).toBeUndefined();
  await expectRow(world, world.targets[0]).toMatchObject({ state: 'running', run: { job } });
  expect((await world.fleet.ended(world.source.name, job)).state).toBe('done');
  await expectRow(world, world.targets[0]).toMatchObject({ state: 'current' });
}, 120_000);
