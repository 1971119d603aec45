import { setTimeout as sleep } from 'node:timers/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import { expect, test } from 'vitest';
import { openReceipts } from '../../../lib/bus/channel/store/receipts.ts';
import { readStatus } from '../../../lib/bus/status/read.ts';
import { storedName, subjects } from '../../../lib/bus/subjects.ts';
import { timing } from '../../../lib/time/timing.ts';
import { fanStartedSchema } from '../../../schemas/job.ts';
import { codesOf, mentions } from '../../support/mentions.ts';
import {
  arrived,
  command,
  emptied,
  rowOf,
  send,
  snapshot,
  startReceiver,
  stored,
  useWorld,
  type World,
  whole,
} from '../../support/store-world.ts';

const bucketOf = async ({ fleet }: World) => {
  const { streams } = await jetstreamManager(fleet.bus.nc);
  return { streams, ...(await streams.info('OBJ_zfs-streams-src')) };
};

test('a final refusal of a target is reported, and nothing more is stored for it until it is listed', async () => {
  const world = await useWorld();
  const sender = await world.fleet.start('sender', world.src);
  const first = await startReceiver(world);
  await snapshot(world.src, 1_000_000, '1');
  expect(await send(world)).toMatchObject({ state: 'done', done: 1 });
  await first.end();
  await world.dst.zfs('set', 'zfs-sim:write=100000', 'pool/a');
  await world.dst.zfs('snapshot', 'pool/a@own');
  for (const name of ['2', '3']) {
    await snapshot(world.src, 1_000_000, name);
    expect(await send(world)).toMatchObject({ state: 'done', channel: 'store' });
  }
  const second = await startReceiver(world);
  await sender.logged('store.rejected', { snapshot: 'pool/a@2' });
  await sender.logged('store.rejected', { snapshot: 'pool/a@3' });
  await emptied(world);
  const row = async () => (await readStatus(world.fleet.bus))?.found[0]?.entry;
  await expect.poll(row).toMatchObject({ sent: { name: '1' }, run: { state: 'failed' }, error: { code: 'MODIFIED' } });
  await second.end();
  const refused = await send(world);
  // why the first one was: the other only lacks what it builds on
  expect(refused).toMatchObject({ state: 'failed', error: { code: 'MODIFIED', details: { reason: 'refused-there' } } });
  await world.dst.zfs('rollback', '-r', 'pool/a@1');
  await startReceiver(world);
  expect(await send(world)).toMatchObject({ state: 'done', done: 2 });
  await arrived(world);
});

test('a refusal of one target is applied once, though others have yet to receive the same stream', async () => {
  const world = await useWorld();
  const { fleet, src, dst } = world;
  const sender = await fleet.start('sender', src);
  const other = await fleet.host('site-a');
  await other.zpool('create', 'pool');
  await snapshot(src, 1_000_000, '1');
  await dst.zfs('create', 'pool/a');
  await dst.zfs('snapshot', 'pool/a@own');
  const body = { dataset: 'pool/a', to: [{ host: 'dst' }, { host: 'site-a' }], channel: 'store' };
  const { jobs } = await fleet.ask(subjects.send('src', 'start'), body, fanStartedSchema);
  for (const job of jobs) expect(await fleet.ended('src', job)).toMatchObject({ state: 'done', channel: 'store' });
  const receiver = await startReceiver(world);
  await sender.logged('store.rejected', { snapshot: 'pool/a@1' });
  await expect.poll(() => rowOf(world, 'dst')).toMatchObject({ run: { state: 'failed' } });
  expect(await rowOf(world, 'dst')).not.toHaveProperty('stored');
  const refused = await send(world, { channel: 'store' });
  expect(refused).toMatchObject({ state: 'failed', error: { details: { reason: 'refused-there' } } });
  expect(await whole(world)).toHaveLength(1);

  await dst.zfs('destroy', '-r', 'pool/a');
  expect(await send(world)).toMatchObject({ state: 'done', done: 1 });
  await receiver.end();
  // the receipt is still there, and is older than the listing of the target
  await sender.end();
  await fleet.start('sender', src);
  // a round of maintenance has read the receipt
  await sleep(timing.maintenance.everyMs + 1000);
  expect(await rowOf(world, 'dst')).toMatchObject({ sent: { name: '1' }, run: { state: 'done' } });
  await snapshot(src, 1_000_000, '2');
  expect(await send(world, { channel: 'store' })).toMatchObject({ state: 'done', done: 1 });
  await startReceiver(world);
  await arrived(world);
  await fleet.start('receiver', other, { ZPSEND_ALLOW: '*=pool' });
  await emptied(world);
});

test('a command without a sender applies receipts, removes the streams and reports that, however short it is', async () => {
  const world = await useWorld();
  await snapshot(world.src, 1_000_000, '1');
  expect((await command(world, 'auto')).exitCode).toBe(0);
  expect(await whole(world)).toHaveLength(1);
  expect(await rowOf(world, 'dst')).toMatchObject({ stored: { name: '1' }, lag: { snapshots: 1 } });
  expect(await rowOf(world, 'dst')).not.toHaveProperty('sent');
  await startReceiver(world);
  await arrived(world);
  const receipts = openReceipts(world.fleet.bus);
  await expect.poll(() => receipts.read('src', 'dst')).toMatchObject([{ receipt: { state: 'done' } }]);
  // of another dataset, so that no listing shows what the store does
  await world.src.zfs('create', 'pool/b');
  await world.src.zfs('snapshot', 'pool/b@1');
  expect((await command(world, 'auto', { dataset: 'pool/b' })).exitCode).toBe(0);
  expect(await stored(world)).toEqual([]);
  expect(await rowOf(world, 'dst')).toMatchObject({ sent: { name: '1' }, lag: { snapshots: 0 } });
  expect(await rowOf(world, 'dst')).not.toHaveProperty('stored');
});

test('a command without a sender stores nothing more for a target that has refused', async () => {
  const world = await useWorld();
  const { dst } = world;
  await snapshot(world.src, 1_000_000, '1');
  await dst.zfs('create', 'pool/a');
  await dst.zfs('snapshot', 'pool/a@own');
  expect((await command(world, 'store')).exitCode).toBe(0);
  const receiver = await startReceiver(world);
  await receiver.logged('store.receive-failed', { code: 'EXISTS' });
  await receiver.end();
  const refused = await command(world, 'store');
  expect([refused.exitCode, codesOf(refused.stderr), refused.stderr]).toEqual([
    1,
    ['EXISTS'],
    mentions('dst', 'pool/a', 'auto'),
  ]);
  expect(await stored(world)).toEqual([]);
});

test('a store without room for a word is emptied all the same, and so is one with a damaged known target', async () => {
  const world = await useWorld();
  await world.fleet.start('sender', world.src);
  await snapshot(world.src, 2_000_000, '1');
  expect(await send(world)).toMatchObject({ state: 'done', channel: 'store' });
  const { streams, config, state } = await bucketOf(world);
  await streams.update(config.name, { ...config, max_bytes: state.bytes + 300 });
  const receiver = await startReceiver(world);
  await arrived(world);
  await emptied(world);
  await receiver.end();

  await streams.update(config.name, { ...config, max_bytes: 2 ** 30 });
  await snapshot(world.src, 2_000_000, '2');
  expect(await send(world)).toMatchObject({ state: 'done', channel: 'store' });
  const name = storedName({ kind: 'known', target: 'dst', dataset: 'pool/a' });
  const { id } = (await world.bucket.get(name, 2 ** 30))?.object ?? {};
  await streams.purge(config.name, { filter: `$O.zfs-streams-src.C.${id}` });
  await startReceiver(world);
  await arrived(world);
  await emptied(world);
});

test('a job of the parent alone forgets nothing of what lies below it', async () => {
  const world = await useWorld();
  const { fleet, src, dst } = world;
  await fleet.start('sender', src);
  await fleet.host('site-a');
  await src.zfs('create', 'pool/a/c');
  await src.zfs('snapshot', '-r', 'pool/a@1');
  const to = [{ host: 'dst' }, { host: 'site-a' }];
  const body = { dataset: 'pool/a', package: 'replication', to, channel: 'store' };
  const { jobs } = await fleet.ask(subjects.send('src', 'start'), body, fanStartedSchema);
  for (const job of jobs) expect(await fleet.ended('src', job)).toMatchObject({ state: 'done', channel: 'store' });
  const receiver = await startReceiver(world);
  await expect
    .poll(() => dst.zfs('list', '-Ho', 'name', 'pool/a/c@1').catch(() => ''), { timeout: 20_000 })
    .not.toBe('');
  await src.zfs('snapshot', '-r', 'pool/a@2');
  expect(await send(world)).toMatchObject({ state: 'done', done: 1 });
  await receiver.end();
  await src.zfs('destroy', 'pool/a/c@1');
  expect(await send(world, { package: 'replication' })).toMatchObject({ state: 'done', channel: 'store', done: 1 });
  const starts = (await whole(world)).flatMap(({ targets }) => targets.map(({ start }) => start));
  const added = starts.find(({ to }) => to.name === 'pool/a/c@2');
  expect(added?.from).toBeDefined();
});

test('a sender that stops ends, however many receipts there are; the next one applies them all', async () => {
  const world = await useWorld();
  const { fleet, src } = world;
  const first = await fleet.start('sender', src);
  await snapshot(src, 1000, ...Array.from({ length: 40 }, (_, at) => `${at}`));
  expect(await send(world)).toMatchObject({ state: 'done', done: 40 });
  await first.end('SIGKILL');
  await startReceiver(world);
  await arrived(world);
  const second = await fleet.start('sender', src);
  await second.logged('store.delivered');
  expect(await second.end()).toBe(0);
  expect((await command(world, 'auto', { dataset: 'pool/a@39' })).exitCode).toBe(0);
  expect(await stored(world)).toEqual([]);
});
