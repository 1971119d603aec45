import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { parseStoredName, subjects } from '../../../lib/bus/subjects.ts';
import { planPartSchema } from '../../../schemas/plan.ts';
import { useGate } from '../../support/gate.ts';
import { mentions } from '../../support/mentions.ts';
import { ownNatsServer } from '../../support/nats-server.ts';
import { program } from '../../support/program.ts';
import {
  arrived,
  emptied,
  list,
  nothingLeft,
  partial,
  send,
  snapshot,
  startReceiver,
  stored,
  useWorld,
  whole,
} from '../../support/store-world.ts';

test.each<'SIGKILL' | 'SIGTERM'>(['SIGKILL', 'SIGTERM'])(
  'a receiver that gets %s in the middle of a stored stream starts it again',
  async (signal) => {
    const world = await useWorld();
    await world.fleet.start('sender', world.src);
    await snapshot(world.src, 60_000_000, '1');
    await send(world);
    const receiver = await startReceiver(world, { ZFS_SIM_RECV_RATE: '10M' });
    await receiver.logged('receive.started', { snapshot: 'pool/a@1' });
    await expect.poll(() => partial(world), { timeout: 30_000 }).not.toBe('-');
    await receiver.end(signal);
    expect(await list(world.dst)).toBe('');
    await startReceiver(world);
    await arrived(world);
    await emptied(world);
    await nothingLeft(world);
  },
);

test('a server that restarts while a job is planned for the store is waited for', async () => {
  const server = await ownNatsServer();
  const world = await useWorld(server.url);
  const gate = await useGate(world.src);
  const sender = await world.fleet.start('sender', world.src, gate.env);
  await snapshot(world.src, 1_000_000, '1');
  // the store exists, so it is read
  await send(world, { channel: 'store' });
  await snapshot(world.src, 1_000_000, '2');
  await gate.shut('list');
  const job = await world.fleet.begin('src', { dataset: 'pool/a', to: { host: 'dst' }, channel: 'store' });
  await gate.reached('list');
  await server.kill();
  await gate.open('list');
  await sender.logged('job.waiting', { code: 'UNREACHABLE' });
  await server.restart();
  expect(await world.fleet.ended('src', job)).toMatchObject({ state: 'done', done: 1 });
});

test('a sender that is killed while it stores leaves nothing that counts as complete', async () => {
  const world = await useWorld();
  const sender = await world.fleet.start('sender', world.src, { ZFS_SIM_SEND_RATE: '20M' });
  await startReceiver(world);
  await snapshot(world.src, 100_000_000, '1');
  await world.fleet.begin('src', { dataset: 'pool/a', to: { host: 'dst' }, channel: 'store' });
  await expect.poll(() => stored(world), { timeout: 20_000 }).not.toEqual([]);
  await sender.end('SIGKILL');
  await world.fleet.start('sender', world.src);
  expect(await send(world, { channel: 'store' })).toMatchObject({ state: 'done', done: 1 });
  await arrived(world);
});

test('a damaged, a missing and a swapped segment are found and reported, and the stream is sent again', async () => {
  const world = await useWorld();
  const sender = await world.fleet.start('sender', world.src);
  await snapshot(world.src, 40_000_000, '1');
  for (const spoil of [
    async (names: string[]) => void (await world.bucket.put(names[1] ?? '', Buffer.alloc(16 * 1024 * 1024), 'forged')),
    async (names: string[]) => world.bucket.remove(names[1] ?? ''),
    async (names: string[]) => {
      const last = await world.bucket.get(names[2] ?? '', 2 ** 30);
      if (last) await world.bucket.put(names[1] ?? '', last.bytes, 'swapped');
    },
    async (names: string[]) => {
      // a piece of one is gone
      const { id } = (await world.bucket.get(names[1] ?? '', 2 ** 30))?.object ?? {};
      const filter = `$O.zfs-streams-src.C.${id}`;
      await (await jetstreamManager(world.fleet.bus.nc)).streams.purge('OBJ_zfs-streams-src', { filter, keep: 100 });
    },
  ]) {
    expect(await send(world)).toMatchObject({ state: 'done', channel: 'store', done: 1 });
    await spoil((await stored(world)).sort());
    const [one] = await whole(world);
    const file = join(world.src.env.HOME ?? '', 'spoilt');
    const fetching = execa(process.execPath, [program, 'store', 'get', 'src', one?.id ?? '', '-o', file], {
      env: { ...world.src.env, NATS_URL: world.url },
      extendEnv: false,
      reject: false,
    });
    expect([(await fetching).exitCode, existsSync(file)]).toEqual([1, false]);
    const receiver = await startReceiver(world);
    await receiver.logged('store.receive-failed', { code: 'STREAM_BROKEN' });
    expect(await list(world.dst)).toBe('');
    await sender.logged('store.rejected', { snapshot: 'pool/a@1' });
    await receiver.end();
    await emptied(world);
  }
  await startReceiver(world);
  expect(await send(world)).toMatchObject({ state: 'done', done: 1 });
  await arrived(world);
});

test('a manifest that another host has forged, or that is unreadable, is skipped', async () => {
  const world = await useWorld();
  await world.fleet.start('sender', world.src);
  await snapshot(world.src, 1_000_000, '1');
  await send(world);
  const name = (await stored(world)).find((one) => parseStoredName(one)?.kind === 'manifest') ?? '';
  const real = JSON.parse((await world.bucket.get(name, 2 ** 20))?.bytes.toString() ?? '');
  const put = (id: string, body: unknown) =>
    world.bucket.put(`${id}/manifest`, Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)), '');
  await put('forged0001', 'not json');
  await put('forged0002', { ...real, id: 'forged0002', source: 'other' });
  await put('forged0003', { ...real, id: 'another001' });
  await put('forged0004', { ...real, id: 'forged0004', digests: [] });
  await put('forged0005', { ...real, id: 'forged0005', bytes: real.bytes + real.segment });
  const receiver = await startReceiver(world);
  await arrived(world);
  const refused = (id: string) => receiver.lines('store.refused').some(({ msg }) => msg.includes(id));
  for (const id of ['forged0001', 'forged0002', 'forged0003', 'forged0004', 'forged0005'])
    expect([id, refused(id)]).toEqual([id, true]);
});

test('an overwritten manifest removes no stored stream, and a plan makes no store', async () => {
  const world = await useWorld();
  const { src, fleet, bucket } = world;
  const sender = await fleet.start('sender', src);
  await snapshot(src, 1_000_000, '1');
  const asked = { dataset: 'pool/a', to: { host: 'dst' }, channel: 'store' };
  await fleet.ask(subjects.send('src', 'plan'), asked, planPartSchema);
  expect(await bucket.mark()).toBeUndefined();
  expect(await send(world)).toMatchObject({ state: 'done', channel: 'store' });
  const before = await stored(world);
  const manifest = before.find((name) => name.endsWith('manifest')) ?? '';
  const meta = `$O.zfs-streams-src.M.${Buffer.from(manifest).toString('base64url')}`;
  const padded = meta + '='.repeat((4 - ((meta.length - meta.lastIndexOf('.') - 1) % 4)) % 4);
  await jetstream(fleet.bus.nc).publish(padded, '{"stream":"KV_zfs-status","seq":7}');
  await expect
    .poll(() => sender.lines('store.manifest-refused').some(({ msg }) => msg.includes(manifest)), { timeout: 20_000 })
    .toBe(true);
  // its segments are still known for its own
  expect((await stored(world)).sort()).toEqual(before.sort());
}, 90_000);

test('what is to be cleared at the target is not asked for through the store', async () => {
  const world = await useWorld();
  await world.fleet.start('sender', world.src);
  await snapshot(world.src, 1000, '1');
  expect(await send(world, { channel: 'store', conflict: 'rotate' })).toMatchObject({
    state: 'failed',
    error: { code: 'BAD_REQUEST', message: mentions('dst', 'conflict: rotate') },
  });
  expect(await stored(world)).toEqual([]);
});

test('a bucket that is deleted while streams wait in it costs a step, and the next job brings it', async () => {
  const world = await useWorld();
  await world.fleet.start('sender', world.src);
  await snapshot(world.src, 20_000_000, '1');
  await send(world);
  await (await jetstreamManager(world.fleet.bus.nc)).streams.delete('OBJ_zfs-streams-src');
  await startReceiver(world);
  expect(await send(world)).toMatchObject({ state: 'done', done: 1 });
  await arrived(world);
});

test('a pool that is not imported yet, or is full, or a lost stream before it, costs no stream that waits', async () => {
  const world = await useWorld();
  const { dst, src } = world;
  await world.fleet.start('sender', src);
  await snapshot(src, 20_000_000, '1', '2');
  expect(await send(world)).toMatchObject({ state: 'done', channel: 'store', done: 2 });
  await dst.zpool('destroy', 'pool');
  await dst.zpool('create', 'other');
  const early = await startReceiver(world);
  await early.logged('store.kept');
  await early.end();
  expect((await stored(world)).filter((name) => name.endsWith('manifest'))).toHaveLength(2);
  await dst.zpool('create', 'pool');
  await dst.zfs('set', 'quota=1M', 'pool');
  const full = await startReceiver(world);
  await full.logged('store.kept', { code: 'NO_SPACE' });
  await full.end();
  expect((await stored(world)).filter((name) => name.endsWith('manifest'))).toHaveLength(2);
  await dst.zfs('set', 'quota=none', 'pool');
  // what is lost takes with it what builds on it, and the next job brings both
  const [first] = await whole(world);
  await world.bucket.remove(`${first?.id}/000000`);
  const last = await startReceiver(world);
  await last.logged('store.lost');
  await emptied(world);
  await last.end();
  expect(await send(world)).toMatchObject({ state: 'done', channel: 'store', done: 2 });
  await startReceiver(world);
  await arrived(world);
  await emptied(world);
});

test('a stored seed that has expired takes along what builds on it; where the target has lost the seed itself, nothing more is stored', async () => {
  const world = await useWorld();
  const { dst, src } = world;
  const sender = await world.fleet.start('sender', src);
  await src.zfs('create', 'pool/a/x');
  await src.zfs('snapshot', '-r', 'pool/a@1');
  const tree = { package: 'replication' };
  expect(await send(world, tree)).toMatchObject({ state: 'done', channel: 'store', done: 2 });
  await src.zfs('snapshot', '-r', 'pool/a@2');
  expect(await send(world, tree)).toMatchObject({ state: 'done', channel: 'store', done: 2 });
  // the root's alone
  const [seed] = await whole(world);
  for (const name of await stored(world)) if (name.startsWith(`${seed?.id}/`)) await world.bucket.remove(name);
  const first = await startReceiver(world);
  await sender.logged('store.rejected', { snapshot: 'pool/a@2' });
  await emptied(world);
  expect(await list(dst)).toBe('');
  await first.end();
  expect(await send(world, tree)).toMatchObject({ state: 'done', channel: 'store', done: 4 });
  const second = await startReceiver(world);
  await arrived(world);
  await emptied(world);
  await second.end();
  await dst.zfs('destroy', '-r', 'pool/a');
  await src.zfs('snapshot', '-r', 'pool/a@3');
  expect(await send(world, tree)).toMatchObject({ state: 'done', channel: 'store', done: 2 });
  await startReceiver(world).then(async (third) => {
    await sender.logged('store.rejected', { snapshot: 'pool/a@3' });
    await emptied(world);
    await third.end();
  });
  const refused = await send(world, tree);
  expect(refused.error?.details).toMatchObject({ reason: 'refused-there' });
});
