import { expect, test } from 'vitest';
import { readStatus } from '../../lib/bus/status/read.ts';
import { arrived, emptied, send, snapshot, startReceiver, useWorld, whole } from '../support/store-world.ts';

test('a target that answers, and takes nothing of what waits for it, is sent to directly, and that says why it cannot be', async () => {
  const world = await useWorld();
  const sender = await world.fleet.start('sender', world.src);
  await snapshot(world.src, 1_000_000, '1');
  expect(await send(world)).toMatchObject({ state: 'done', channel: 'store' });
  // it is not asked for what its own receiver would not let in
  const closed = await startReceiver(world, { ZPSEND_ALLOW: 'another=pool' });
  await snapshot(world.src, 1_000_000, '2');
  expect(await send(world)).toMatchObject({ state: 'failed', error: { code: 'NOT_ALLOWED' } });
  await sender.said('takes nothing of what waits for it');
  expect(await whole(world)).toHaveLength(1);
  const row = async () => (await readStatus(world.fleet.bus))?.found[0]?.entry;
  await expect.poll(row).toMatchObject({ run: { state: 'failed' }, error: { code: 'NOT_ALLOWED' } });
  await closed.end();

  // where it does not answer more is stored, and one that takes it brings all of it
  expect(await send(world)).toMatchObject({ state: 'done', channel: 'store', done: 1 });
  await startReceiver(world);
  await arrived(world);
  await emptied(world);
});

test('a target without the pool of what waits for it is told of, not waited for', async () => {
  const world = await useWorld();
  await world.fleet.start('sender', world.src);
  await snapshot(world.src, 1_000_000, '1');
  const to = { to: { host: 'dst', dataset: 'elsewhere/a' } };
  expect(await send(world, to)).toMatchObject({ state: 'done', channel: 'store' });
  await startReceiver(world, { ZPSEND_ALLOW: '*=elsewhere' });
  expect(await send(world, to)).toMatchObject({ state: 'failed', error: { code: 'NO_SUCH_DATASET' } });
});
