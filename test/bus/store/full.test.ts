import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { request } from '../../../lib/bus/rpc/request.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { sendStatusSchema } from '../../../schemas/job.ts';
import { mentions } from '../../support/mentions.ts';
import {
  arrived,
  command,
  emptied,
  nothingLeft,
  send,
  snapshot,
  startReceiver,
  stored,
  useWorld,
  type World,
  whole,
} from '../../support/store-world.ts';

/** A configuration of src by which its store holds 64 MiB. */
async function smallStore({ src }: World): Promise<string> {
  const config = join(src.env.HOME ?? '', 'zpsend.yaml');
  await writeFile(config, `send: { store: { maxBytes: ${64 * 1024 * 1024} } }\n`);
  return config;
}

test('a job waits for a full store, and continues when a target has received a stream', async () => {
  const world = await useWorld();
  const config = await smallStore(world);
  const sender = await world.fleet.start('sender', world.src, { ZPSEND_CONFIG: config });
  await snapshot(world.src, 40_000_000, '1', '2');
  const job = world.fleet.send('src', { dataset: 'pool/a', to: { host: 'dst' }, channel: 'store' });
  await sender.logged('store.full');
  const { bus } = world.fleet;
  const { jobs } = await request(bus, subjects.send('src', 'status'), {}, sendStatusSchema);
  expect(jobs[0]).toMatchObject({ state: 'waiting', waiting: { code: 'NO_SPACE' } });
  await startReceiver(world);
  expect(await job).toMatchObject({ state: 'done', done: 2 });
  await arrived(world);
  await emptied(world);
}, 90_000);

test('a full store that is not emptied ends the job with what to do, and leaves nothing of the stream', async () => {
  const world = await useWorld();
  const config = await smallStore(world);
  await world.fleet.start('sender', world.src, { ZPSEND_CONFIG: config, ZPSEND_PATIENCE_SECONDS: '3' });
  await snapshot(world.src, 40_000_000, '1', '2');
  const job = await world.fleet.send('src', { dataset: 'pool/a', to: { host: 'dst' }, channel: 'store' });
  const message = mentions('3 s', 'nats object edit zfs-streams-src');
  expect(job).toMatchObject({ state: 'failed', done: 1, error: { code: 'NO_SPACE', message } });
  const [first] = await whole(world);
  await expect
    .poll(async () => (await stored(world)).filter((name) => !name.startsWith(first?.id ?? '')), { timeout: 10_000 })
    .toEqual([]);
}, 90_000);

test('a command without a sender empties a full store too, while it waits for room', async () => {
  const world = await useWorld();
  const { src } = world;
  const config = await smallStore(world);
  await snapshot(src, 40_000_000, '1', '2');
  const sending = command(world, 'store', { env: { ZPSEND_CONFIG: config } });
  await expect.poll(async () => (await stored(world)).length, { timeout: 30_000 }).toBeGreaterThan(3);
  await startReceiver(world);
  expect((await sending).exitCode).toBe(0);
  await arrived(world);
}, 90_000);

test('a stream that does not fit into the store is refused before it fills it, or when that is seen', async () => {
  const world = await useWorld();
  const config = await smallStore(world);
  await world.fleet.start('sender', world.src, { ZPSEND_CONFIG: config });
  await snapshot(world.src, 100_000_000, '1');
  const error = {
    code: 'NO_SPACE',
    details: { reason: 'too-large', bound: expect.any(Number) },
    message: mentions('src', 'pool/a@1'),
  };
  expect(await send(world)).toMatchObject({ state: 'failed', error, bytes: 0 });
  // its compressed size is unknown before
  expect(await send(world, { compression: 'zstd' })).toMatchObject({ state: 'failed', error });
  await emptied(world);
  await nothingLeft(world);
  const receiver = await startReceiver(world);
  expect(await send(world)).toMatchObject({ state: 'done', done: 1 });
  await receiver.end();
}, 90_000);

test('streams that fit, but not together, are stored one after the other', async () => {
  const world = await useWorld();
  const { src, fleet } = world;
  const config = await smallStore(world);
  await fleet.start('sender', src, { ZPSEND_CONFIG: config });
  await startReceiver(world);
  await snapshot(src, 50_000_000, '1');
  await src.zfs('create', 'pool/b');
  await src.zfs('set', 'zfs-sim:write=50000000', 'pool/b');
  await src.zfs('snapshot', 'pool/b@1');
  const ended = await Promise.all(['pool/a', 'pool/b'].map((dataset) => send(world, { dataset, channel: 'store' })));
  expect(ended.map(({ state, done }) => [state, done])).toEqual([
    ['done', 1],
    ['done', 1],
  ]);
  await emptied(world);
}, 90_000);
