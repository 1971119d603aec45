import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { readStatus } from '../../../lib/bus/status/read.ts';
import { parseStoredName, subjects } from '../../../lib/bus/subjects.ts';
import { timing } from '../../../lib/time/timing.ts';
import { fanStartedSchema } from '../../../schemas/job.ts';
import {
  allow,
  arrived,
  emptied,
  list,
  nothingLeft,
  send,
  snapshot,
  startReceiver,
  stored,
  useWorld,
} from '../../support/store-world.ts';

test('a target that is away fetches what was stored for it, in order, while the source is away', async () => {
  const world = await useWorld();
  const sender = await world.fleet.start('sender', world.src);
  await snapshot(world.src, 40_000_000, '1');
  await snapshot(world.src, 1_000_000, '2', '3');
  const job = await send(world);
  expect(job).toMatchObject({ state: 'done', channel: 'store', done: 3 });
  // the first in three segments, with a manifest each
  expect(await stored(world)).toHaveLength(8);
  await sender.end('SIGTERM');
  await startReceiver(world);
  await arrived(world);
  const row = async () => (await readStatus(world.fleet.bus))?.found[0]?.entry;
  expect(await row()).toMatchObject({ lag: { snapshots: 3 }, newest: { name: '3' } });
  await world.fleet.start('sender', world.src);
  await emptied(world);
  // what has been taken is seen without another job
  await expect
    .poll(row)
    .toMatchObject({ sent: { name: '3' }, lag: { snapshots: 0, bytes: 0 }, run: { state: 'done' } });
  await nothingLeft(world);
});

test('the next stream builds on a stored one, though the source has destroyed its snapshots since', async () => {
  const world = await useWorld();
  await world.fleet.start('sender', world.src);
  await snapshot(world.src, 1_000_000, '1');
  expect(await send(world)).toMatchObject({ state: 'done', channel: 'store', done: 1 });
  await world.src.zfs('destroy', 'pool/a@1');
  await snapshot(world.src, 1_000_000, '2');
  expect(await send(world)).toMatchObject({ state: 'done', channel: 'store', done: 1 });
  expect(await send(world)).toMatchObject({ state: 'done', done: 0 });
  await startReceiver(world);
  await expect
    .poll(async () => (await list(world.dst)).split('\n').map((line) => line.split('\t')[0]), { timeout: 30_000 })
    .toEqual(['pool/a@1', 'pool/a@2']);
  await emptied(world);
  await snapshot(world.src, 1_000_000, '3');
  const direct = await send(world);
  expect(direct).toMatchObject({ state: 'done', done: 1 });
  expect(direct.channel).toBeUndefined();
  await nothingLeft(world);
});

test('a target that was only ever sent to directly is planned for, when it goes away, by what was sent', async () => {
  const world = await useWorld();
  await world.fleet.start('sender', world.src);
  const receiver = await startReceiver(world);
  await snapshot(world.src, 1_000_000, '1', '2');
  const direct = await send(world, { channel: 'direct' });
  expect(direct).toMatchObject({ state: 'done', done: 2 });
  expect(direct.channel).toBeUndefined();
  expect(await world.bucket.mark()).toBeUndefined();
  await receiver.end('SIGTERM');
  await snapshot(world.src, 1_000_000, '3');
  await world.src.zfs('destroy', 'pool/a@1,2');
  const kept = (await readStatus(world.fleet.bus))?.found[0]?.entry;
  expect(kept).toMatchObject({ sent: { name: '2' }, stream: expect.stringContaining(':') });
  const job = await send(world);
  expect(job).toMatchObject({ state: 'done', channel: 'store', done: 1 });
  await startReceiver(world);
  await expect.poll(() => list(world.dst), { timeout: 30_000 }).toContain('pool/a@3');
  await emptied(world);
});

test('a target that answers by a sender alone fetches what was stored when its receiver runs again', async () => {
  const world = await useWorld();
  await world.fleet.start('sender', world.src);
  await world.fleet.start('sender', world.dst);
  await snapshot(world.src, 1_000_000, '1');
  expect(await send(world)).toMatchObject({ state: 'done', channel: 'store', done: 1 });
  await startReceiver(world);
  await arrived(world);
  await emptied(world);
  const direct = await send(world);
  expect([direct.state, direct.channel]).toEqual(['done', undefined]);
});

test('an encrypted tree is planned like a plain one that was only sent directly: by the keys that were sent, and not past a change-key', async () => {
  const world = await useWorld();
  const { src, dst } = world;
  const dataset = 'pool/enc';
  const tree = { dataset, package: 'replication' };
  await src.zfs('create', '-o', 'encryption=on', '-o', 'keyformat=passphrase', dataset);
  await src.zfs('create', `${dataset}/home`);
  const snap = (name: string) => src.zfs('snapshot', '-r', `${dataset}@${name}`);
  await snap('1');
  const sender = await world.fleet.start('sender', src);
  const receiver = await startReceiver(world);
  expect(await send(world, { ...tree, channel: 'direct' })).toMatchObject({ state: 'done', done: 2 });
  await receiver.end('SIGTERM');
  // what is noted outlives the sender
  await sender.end('SIGTERM');
  await world.fleet.start('sender', src);
  await snap('2');
  expect(await send(world, tree)).toMatchObject({ state: 'done', channel: 'store', done: 2 });
  const back = await startReceiver(world);
  const there = () => dst.zfs('list', '-H', '-t', 'snapshot', '-o', 'name', '-r', dataset);
  await expect.poll(there, { timeout: 30_000 }).toContain(`${dataset}/home@2`);
  await emptied(world);
  expect(await send(world, { ...tree, channel: 'direct' })).toMatchObject({ state: 'done', done: 0 });
  await back.end('SIGTERM');
  await src.zfs('change-key', '-o', 'keyformat=passphrase', dataset);
  await snap('3');
  const job = await send(world, tree);
  expect(job).toMatchObject({ state: 'failed', channel: 'store', done: 0, error: { code: 'UNSUPPORTED' } });
  expect(job.datasets.list.map(({ error }) => error?.details?.reason)).toEqual(['new-key', 'new-key']);
});

test('edge case 26: streams stored before a change-key on the target are refused there, and continue after the next listing', async () => {
  const world = await useWorld();
  const { src, dst } = world;
  const dataset = 'pool/enc';
  await src.zfs('create', '-o', 'encryption=on', '-o', 'keyformat=passphrase', dataset);
  await src.zfs('snapshot', `${dataset}@1`);
  await world.fleet.start('sender', src);
  const receiver = await startReceiver(world);
  expect(await send(world, { dataset, channel: 'direct' })).toMatchObject({ state: 'done', done: 1 });
  await receiver.end('SIGTERM');
  await src.zfs('snapshot', `${dataset}@2`);
  expect(await send(world, { dataset })).toMatchObject({ state: 'done', channel: 'store', done: 1 });
  await dst.zfs('load-key', dataset);
  await dst.zfs('change-key', '-o', 'keyformat=passphrase', dataset);
  await startReceiver(world);
  const row = async () => (await readStatus(world.fleet.bus))?.found[0]?.entry;
  await expect.poll(row, { timeout: 30_000 }).toMatchObject({ sent: { name: '1' }, error: { code: 'KEY_MISMATCH' } });
  await emptied(world);
  const there = () => dst.zfs('list', '-H', '-t', 'snapshot', '-o', 'name', '-r', dataset);
  expect(await there()).toBe(`${dataset}@1`);
  expect(await send(world, { dataset })).toMatchObject({ state: 'done', done: 1 });
  expect(await there()).toContain(`${dataset}@2`);
});

test('stored streams are fetched before anything is sent directly', async () => {
  const world = await useWorld();
  await world.fleet.start('sender', world.src);
  await snapshot(world.src, 30_000_000, '1');
  expect(await send(world)).toMatchObject({ state: 'done', channel: 'store' });
  const receiver = await startReceiver(world, { ZFS_SIM_RECV_RATE: '8M' });
  await receiver.logged('store.waiting');
  await snapshot(world.src, 1_000_000, '2');
  expect(await send(world)).toMatchObject({ state: 'done', channel: 'store', done: 1 });
  await arrived(world);
  await emptied(world);
});

test('a compressed stream is stored compressed, and a package with a clone and a volume arrives', async () => {
  const world = await useWorld();
  const { src } = world;
  await world.fleet.start('sender', src, { ZFS_SIM_ZEROS: '0.5' });
  await src.zfs('create', 'pool/a/x');
  await src.zfs('create', '-V', '1M', 'pool/a/v');
  await src.zfs('snapshot', '-r', 'pool/a@1');
  await src.zfs('clone', 'pool/a/x@1', 'pool/a/c');
  await snapshot(src, 2_000_000, '2');
  await src.zfs('snapshot', '-r', 'pool/a@3');
  const job = await send(world, { package: 'replication', compression: 'zstd' });
  expect(job).toMatchObject({ state: 'done', channel: 'store', done: 8 });
  expect(job.compressedBytes).toBeLessThan(job.bytes);
  await startReceiver(world);
  await arrived(world);
  await emptied(world);
  await nothingLeft(world);
});

test('a target that is away shares the read of those that are there', async () => {
  const world = await useWorld();
  const { fleet, src } = world;
  await fleet.start('sender', src);
  const sites = await Promise.all(['site-a', 'site-b'].map((name) => fleet.host(name)));
  await Promise.all(sites.map((site) => site.zpool('create', 'pool')));
  await Promise.all(sites.map((site) => fleet.start('receiver', site, allow)));
  // it was there once: what is not known of a pool decides the flags of its streams
  const once = await startReceiver(world);
  await snapshot(src, 1_000_000, '0');
  const to = ['site-a', 'dst', 'site-b'].map((host) => ({ host }));
  const toAll = async () => {
    const body = { dataset: 'pool/a', to, channel: 'auto' };
    const { jobs } = await fleet.ask(subjects.send('src', 'start'), body, fanStartedSchema);
    return Promise.all(jobs.map((job) => fleet.ended('src', job)));
  };
  await toAll();
  await once.end();
  await snapshot(src, 20_000_000, '1', '2');
  const ended = await toAll();
  expect(ended.map(({ state, channel, done }) => [state, channel, done])).toEqual([
    ['done', undefined, 2],
    ['done', 'store', 2],
    ['done', undefined, 2],
  ]);
  const sends = (await src.processes()).filter(
    ({ argv: [, verb, ...rest] }) => verb === 'send' && !rest.some((word) => /^-\w*n/.test(word)),
  );
  expect(sends).toHaveLength(3);
  for (const site of sites) expect(await list(site)).toBe(await list(src));
  await startReceiver(world);
  await arrived(world);
  await emptied(world);
});

test('what several who are away lack is stored once, and each fetches it', async () => {
  const world = await useWorld();
  const { fleet, src, dst } = world;
  await fleet.start('sender', src);
  const other = await fleet.host('site-a');
  await other.zpool('create', 'pool');
  await snapshot(src, 20_000_000, '1');
  await snapshot(src, 1_000_000, '2');
  const body = { dataset: 'pool/a', to: [{ host: 'dst' }, { host: 'site-a' }], channel: 'store' };
  const { jobs } = await fleet.ask(subjects.send('src', 'start'), body, fanStartedSchema);
  const ended = await Promise.all(jobs.map((job) => fleet.ended('src', job)));
  expect(ended.map(({ state, channel, done, bytes }) => [state, channel, done, bytes])).toEqual([
    ['done', 'store', 2, ended[0]?.bytes],
    ['done', 'store', 2, ended[0]?.bytes],
  ]);
  expect((await stored(world)).filter((name) => parseStoredName(name)?.kind === 'manifest')).toHaveLength(2);
  // what one has taken stays for the other
  await startReceiver(world);
  await arrived(world);
  // a round of maintenance has removed nothing of it
  await sleep(timing.maintenance.everyMs + 1000);
  expect((await stored(world)).length).toBeGreaterThan(2);
  await fleet.start('receiver', other, allow);
  await arrived({ ...world, dst: other });
  await emptied(world);
  expect(await list(other)).toBe(await list(dst));
  await nothingLeft(world);
});
