import { zstdCompressSync } from 'node:zlib';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { serve } from '../../../lib/bus/rpc/serve.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { ZpsendError } from '../../../schemas/errors.ts';
import { type ReceiveStart, receiveStartSchema } from '../../../schemas/transfer.ts';
import { type Fleet, useFleet } from '../../support/fleet.ts';
import { mentions } from '../../support/mentions.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import { begin, data } from '../../support/scripted-sender.ts';
import type { SimHost } from '../../support/sim-host.ts';

const natsUrl = useNatsAccounts();

const size = 40_000_000;
const body = { dataset: 'zones/test', to: { host: 'smos-00' } };
const allow = { ZPSEND_ALLOW: '*=zones' };
const half = { ZFS_SIM_ZEROS: '0.5' };

interface Pair {
  fleet: Fleet;
  source: SimHost;
  target: SimHost;
}

/** Two hosts, and zones/test@one on smos-01; no service runs yet. */
async function usePair(): Promise<Pair> {
  const fleet = await useFleet(natsUrl());
  const [source, target] = await Promise.all([fleet.host('smos-01'), fleet.host('smos-00')]);
  await Promise.all([source.zpool('create', 'zones'), target.zpool('create', 'zones')]);
  await source.zfs('create', 'zones/test');
  await source.zfs('set', `zfs-sim:write=${size}`, 'zones/test');
  await source.zfs('snapshot', 'zones/test@one');
  return { fleet, source, target };
}

async function expectEqual({ source, target }: Pair): Promise<void> {
  for (const property of ['guid', 'zfs-sim:digest']) {
    const of = (host: SimHost) => host.zfs('get', '-Hp', '-o', 'value', property, 'zones/test@one');
    expect(await of(target)).toBe(await of(source));
  }
}

test('zstd: half as much goes over the wire, and the job has both figures', async () => {
  const pair = await usePair();
  await pair.fleet.start('receiver', pair.target, allow);
  await pair.fleet.start('sender', pair.source, half);
  const job = await pair.fleet.send('smos-01', { ...body, compression: 'zstd' });
  expect(job).toMatchObject({ state: 'done', done: 1 });
  expect(job.bytes).toBeGreaterThanOrEqual(size);
  expect(job.compressedBytes).toBeLessThan(size * 0.55);
  expect(job.compressedBytes).toBeGreaterThan(size * 0.45);
  await expectEqual(pair);
});

test('auto: what does not compress goes as it is', async () => {
  const pair = await usePair();
  await pair.fleet.start('receiver', pair.target, allow);
  await pair.fleet.start('sender', pair.source);
  const job = await pair.fleet.send('smos-01', { ...body, stream: { compressed: false }, compression: 'auto' });
  expect(job).toMatchObject({ state: 'done', done: 1 });
  expect(job.compressedBytes).toBe(job.bytes);
  await expectEqual(pair);
});

test('without being asked for nothing is compressed', async () => {
  const pair = await usePair();
  await pair.fleet.start('receiver', pair.target, allow);
  await pair.fleet.start('sender', pair.source, half);
  const job = await pair.fleet.send('smos-01', body);
  expect(job).toMatchObject({ state: 'done', done: 1 });
  expect(job).not.toHaveProperty('compressedBytes');
});

test('I7: a zfs send that fails in the middle fails the job, and leaves nothing that counts as a snapshot', async () => {
  const pair = await usePair();
  await pair.fleet.start('receiver', pair.target, allow);
  const failing = { ...half, ZFS_SIM_FAIL: 'send:cannot send: Input/output error' };
  await pair.fleet.start('sender', pair.source, failing);
  const job = await pair.fleet.send('smos-01', { ...body, compression: 'zstd' });
  expect(job).toMatchObject({ state: 'failed', done: 0, error: { code: 'INTERNAL' } });
  expect(job.error?.message).toEqual(mentions('Input/output error'));
  expect(await pair.target.zfs('list', '-Hp', '-t', 'snapshot', '-o', 'name')).toBe('');
});

test('I9: a receiver killed in the middle: the next one continues from the resume token, compressed again', async () => {
  const pair = await usePair();
  const { fleet, source, target } = pair;
  const receiver = await fleet.start('receiver', target, allow);
  await fleet.start('sender', source, { ...half, ZFS_SIM_SEND_RATE: '20M' });
  const id = await fleet.begin('smos-01', { ...body, compression: 'zstd' });
  await expect
    .poll(async () => (await fleet.status('smos-01', id))?.bytes ?? 0, { timeout: 30_000 })
    .toBeGreaterThan(size / 3);
  await receiver.end('SIGKILL');
  await fleet.start('receiver', target, allow);
  const job = await fleet.ended('smos-01', id);
  expect(job).toMatchObject({ state: 'done', done: 1 });
  expect(job.bytes).toBeLessThan(size * 1.9);
  await expectEqual(pair);
});

test('a receiver that knows nothing of it is asked again without', async () => {
  const { fleet, source, target } = await usePair();
  const asked: object[] = [];
  // its listings come from the sender that runs there
  await fleet.start('sender', target);
  const before = receiveStartSchema.omit({ compression: true });
  const old = serve(fleet.bus, {
    name: 'recv-start',
    subject: subjects.receiveFrom('smos-00', 'smos-01'),
    request: before,
    handle: (start) => {
      asked.push(start);
      throw new ZpsendError('NOT_ALLOWED', 'that is as far as this test goes');
    },
  });
  await fleet.bus.nc.flush();
  await fleet.start('sender', source);
  const job = await fleet.send('smos-01', { ...body, compression: 'zstd' });
  old.stop();
  expect(job).toMatchObject({ state: 'failed', error: { code: 'NOT_ALLOWED' } });
  expect(asked).toEqual([expect.objectContaining({ sourceHost: 'smos-01' })]);
  expect(asked[0]).not.toHaveProperty('compression');
});

async function scripted(compression: ReceiveStart['compression']) {
  const { fleet, source, target } = await usePair();
  await fleet.start('receiver', target, allow);
  const { stdout } = await execa('zfs', ['send', 'zones/test@one'], {
    env: source.env,
    extendEnv: false,
    encoding: 'buffer',
  });
  const guid = await source.zfs('get', '-Hp', '-o', 'value', 'guid', 'zones/test@one');
  const what = {
    targetDataset: 'zones/test',
    to: { name: 'zones/test@one', guid },
    ...(compression && { compression }),
  };
  return { sender: await begin(fleet, what), stream: Buffer.from(stdout) };
}

test('what claims to be zstd and is not is STREAM_BROKEN', async () => {
  const { sender, stream } = await scripted(['zstd']);
  sender.publish(data(0, Buffer.concat([zstdCompressSync(stream.subarray(0, 1000)), Buffer.from('not zstd')])));
  const final = await sender.final;
  expect(final).toMatchObject({ type: 'failed', error: { code: 'STREAM_BROKEN' } });
  expect(JSON.stringify(final)).toEqual(mentions('zones/test@one', 'smos-01'));
});

test('nothing is decompressed that was not agreed on', async () => {
  const { sender, stream } = await scripted(['later']);
  sender.publish(data(0, zstdCompressSync(stream.subarray(0, 1000))));
  expect(await sender.final).toMatchObject({ type: 'failed', error: { code: 'STREAM_BROKEN' } });
});
