import { jetstreamManager } from '@nats-io/jetstream';
import { expect, test } from 'vitest';
import { deliveriesOf } from '../../../lib/bus/channel/store/delivery-state.ts';
import { openReceipts } from '../../../lib/bus/channel/store/receipts.ts';
import { openLocks } from '../../../lib/bus/locks/locks.ts';
import { hashOfTransfer } from '../../../lib/bus/locks/transfer-hash.ts';
import { fetchOutputSchema } from '../../../schemas/output.ts';
import type { Receipt } from '../../../schemas/stored.ts';
import { blockedNotes } from '../../../services/sender/store/blocked-notes.ts';
import { mentions } from '../../support/mentions.ts';
import type { SimHost } from '../../support/sim-host.ts';
import {
  arrived,
  emptied,
  partial,
  rowOf,
  run,
  send,
  snapshot,
  startReceiver,
  useWorld,
  type World,
  whole,
} from '../../support/store-world.ts';

/** A sender, and one snapshot of so many bytes that it has stored for dst. */
async function useStored(bytes: number): Promise<World> {
  const world = await useWorld();
  await world.fleet.start('sender', world.src);
  await snapshot(world.src, bytes, '1');
  expect(await send(world)).toMatchObject({ state: 'done', channel: 'store' });
  return world;
}

test('a blocked stream is reported by the target, the next job and the status until it is received', async () => {
  const world = await useWorld();
  const { fleet, src, dst } = world;
  await fleet.start('sender', src);
  await dst.zpool('destroy', 'pool');
  await snapshot(src, 1_000_000, '1');
  expect(await send(world)).toMatchObject({ state: 'done', channel: 'store' });
  await startReceiver(world);
  const why = { code: 'NO_SUCH_DATASET', message: mentions('pool') };
  await expect.poll(() => rowOf(world, 'dst'), { timeout: 20_000 }).toMatchObject({ error: why });
  await snapshot(src, 1_000_000, '2');
  const job = await send(world);
  expect(job).toMatchObject({ state: 'done', channel: 'store', done: 1 });
  expect(job.notes).toEqual([{ kind: 'store-blocked', dataset: 'pool/a', message: mentions('pool') }]);
  await expect
    .poll(() => rowOf(world, 'dst'), { timeout: 20_000 })
    .toMatchObject({ stored: { name: '2' }, error: why });
  const { stdout } = await run(world, 'store', 'ls', 'src', '--json');
  const { streams } = fetchOutputSchema.parse(JSON.parse(stdout));
  expect(streams.map(({ targets }) => targets[0])).toMatchObject([
    { state: 'waiting', error: why },
    { state: 'waiting' },
  ]);
  expect((await run(world, 'store', 'ls', 'src')).stdout).toEqual(mentions('NO_SUCH_DATASET', 'pool'));
  expect((await run(world, 'status')).stdout).toEqual(mentions('stored', 'NO_SUCH_DATASET', 'pool'));

  await dst.zpool('create', 'pool');
  // another one checks at once
  await startReceiver(world);
  await arrived(world);
  await expect.poll(() => rowOf(world, 'dst'), { timeout: 20_000 }).toMatchObject({ sent: { name: '2' } });
  expect(await rowOf(world, 'dst')).not.toHaveProperty('error');
});

test('edge cases 37, 38: a read-only pool is stored from, without holds and with one note; it waits for a target whose pool is read-only', async () => {
  const world = await useWorld();
  const { fleet, src, dst } = world;
  const readOnly = async (host: SimHost) => {
    await host.zpool('export', 'pool');
    await host.zpool('import', '-o', 'readonly=on', 'pool');
  };
  await snapshot(src, 1_000_000, '1', '2');
  await Promise.all([readOnly(src), readOnly(dst)]);
  const sender = await fleet.start('sender', src);
  const job = await send(world);
  expect(job).toMatchObject({ state: 'done', channel: 'store', done: 2 });
  expect(job.notes?.filter(({ kind }) => kind === 'read-only-source')).toHaveLength(1);
  expect(sender.lines('plan.noted', { note: 'read-only-source' })).toHaveLength(1);
  expect(sender.lines('cursor.failed')).toEqual([]);
  const receiver = await startReceiver(world);
  await expect.poll(() => rowOf(world, 'dst'), { timeout: 20_000 }).toMatchObject({ error: { code: 'READ_ONLY' } });
  await receiver.end();
  await dst.zpool('export', 'pool');
  await dst.zpool('import', 'pool');
  await startReceiver(world);
  await arrived(world);
  // before its receipts are applied a job would go through the store
  await emptied(world);
  // and directly, with nothing to send: no note either
  const again = await send(world);
  expect([again.state, again.done, again.notes]).toEqual(['done', 0, undefined]);
});

test('a receiver that is online and does not claim its streams is reported', async () => {
  const world = await useStored(1_000_000);
  const { fleet, dst, bucket } = world;
  const place = { host: 'dst', targetDataset: 'pool/a' };
  const receipts = openReceipts(fleet.bus);
  const notes = async (claimMs: number) =>
    blockedNotes(
      { bus: fleet.bus, bucket, claimMs },
      place,
      deliveriesOf(await whole(world), await receipts.read('src', 'dst')),
    );
  // no receiver runs
  expect(await notes(0)).toEqual([]);
  const other = await startReceiver(world, { ZPSEND_ALLOW: 'elsewhere=pool' });
  const why = mentions('TIMEOUT', 'dst', 'src', 'receive.allow');
  expect(await notes(0)).toEqual([{ kind: 'store-blocked', dataset: 'pool/a', message: why }]);
  expect(await notes(60_000)).toEqual([]);
  await other.end();
  await dst.zpool('destroy', 'pool');
  await startReceiver(world);
  const expected = [{ message: mentions('NO_SUCH_DATASET') }];
  await expect.poll(() => notes(60_000), { timeout: 20_000 }).toMatchObject(expected);
});

test('a receiver that finds the dataset locked has claimed the stream, and keeps the receipt of its other instance', async () => {
  const world = await useStored(1_000_000);
  const { fleet, bucket } = world;
  const locks = await openLocks(fleet.bus, 30);
  const other = {
    owner: 'dst/otherother1',
    nonce: crypto.randomUUID(),
    transferHash: hashOfTransfer('othertransf'),
    source: 'src',
  };
  const lease = await locks.acquire('dst', 'pool/a', other);
  const receiver = await startReceiver(world);
  await receiver.logged('store.kept', { code: 'LOCKED' });
  const receipts = openReceipts(fleet.bus);
  const expected = await receipts.read('src', 'dst');
  expect(expected).toMatchObject([{ receipt: { state: 'running', bytes: 0 } }]);
  const [stream] = await whole(world);
  const place = { host: 'dst', targetDataset: 'pool/a' };
  expect(
    await blockedNotes({ bus: fleet.bus, bucket, claimMs: 0 }, place, deliveriesOf(await whole(world), expected)),
  ).toEqual([]);
  await receipts.write('dst', 'src', stream?.id ?? '', 0, { state: 'running', bytes: 5 });
  await receipts.begin('dst', 'src', stream?.id ?? '', 0);
  expect(await receipts.read('src', 'dst')).toMatchObject([{ receipt: { state: 'running', bytes: 5 } }]);
  await lease.release();
  await arrived(world);
}, 90_000);

test('a lasting failure is reported although it may pass, and leaves the status with the store', async () => {
  const world = await useStored(1_000_000);
  const { fleet } = world;
  const failing = 'receive:cannot receive new filesystem stream: dataset is busy';
  const receiver = await startReceiver(world, { ZFS_SIM_FAIL: failing });
  await receiver.logged('store.kept', { code: 'BUSY' });
  await expect.poll(() => rowOf(world, 'dst'), { timeout: 20_000 }).toMatchObject({ error: { code: 'BUSY' } });
  await (await jetstreamManager(fleet.bus.nc)).streams.delete('OBJ_zfs-streams-src');
  await expect.poll(async () => (await rowOf(world, 'dst'))?.error, { timeout: 20_000 }).toBeUndefined();
}, 90_000);

test('a receiver that finds a stream claimed by another instance of its host keeps the receipt of that one', async () => {
  const world = await useStored(4_000_000);
  const { fleet } = world;
  const slow = { ZFS_SIM_RECV_RATE: '300K' };
  const both = [await startReceiver(world, slow), await startReceiver(world, slow)];
  const locked = Promise.any(both.map((receiver) => receiver.logged('store.kept', { code: 'LOCKED' })));
  const receipts = openReceipts(fleet.bus);
  const errors: unknown[] = [];
  const watching = setInterval(async () => {
    for (const { receipt } of await receipts.read('src', 'dst')) if (receipt.error) errors.push(receipt);
  }, 200);
  try {
    await locked;
    await arrived(world);
  } finally {
    clearInterval(watching);
  }
  expect(errors).toEqual([]);
});

test('what a pool had no room for is why it waits, also while it is tried again', async () => {
  const world = await useStored(8_000_000);
  const { fleet } = world;
  const rate = { ZFS_SIM_RECV_RATE: '600K' };
  const first = await startReceiver(world, {
    ...rate,
    ZFS_SIM_FAIL: 'receive:cannot receive new filesystem stream: out of space',
  });
  await first.logged('store.kept', { code: 'NO_SPACE' });
  const receipts = openReceipts(fleet.bus);
  const now = async () => (await receipts.read('src', 'dst'))[0]?.receipt;
  await expect.poll(now).toMatchObject({ state: 'running', error: { code: 'NO_SPACE' } });
  const failedAt = (await now())?.bytes ?? 0;
  expect(failedAt).toBeGreaterThan(0);
  // what no stream continues keeps no room from others
  expect(await partial(world)).toBe('-');
  await first.end();

  await startReceiver(world, rate);
  const seen: Receipt[] = [];
  await expect
    .poll(
      async () => {
        const receipt = await now();
        if (receipt?.state === 'running' && receipt.bytes !== failedAt) seen.push(receipt);
        return receipt?.state;
      },
      { timeout: 60_000, interval: 200 },
    )
    .not.toBe('running');
  const [before, after] = [seen.filter(({ bytes }) => bytes < failedAt), seen.filter(({ bytes }) => bytes > failedAt)];
  for (const some of [before, after]) expect(some.length).toBeGreaterThan(0);
  expect(before.filter(({ error }) => error?.code !== 'NO_SPACE')).toEqual([]);
  expect(after.filter(({ error }) => error)).toEqual([]);
});

test('what a direct transfer has brought into a full pool is kept, and the next one continues there', async () => {
  const world = await useWorld();
  const { fleet, src } = world;
  await fleet.start('sender', src);
  await snapshot(src, 8_000_000, '1');
  const full = { ZFS_SIM_FAIL: 'receive:cannot receive new filesystem stream: out of space' };
  const first = await startReceiver(world, full);
  const failed = await send(world, { channel: 'direct' });
  expect(failed).toMatchObject({ state: 'failed', error: { code: 'NO_SPACE' } });
  expect(await partial(world)).not.toBe('-');
  await first.end();
  await startReceiver(world);
  const job = await send(world, { channel: 'direct' });
  expect(job).toMatchObject({ state: 'done', done: 1 });
  expect(job.bytes).toBeLessThan(8_000_000);
  await arrived(world);
}, 60_000);
