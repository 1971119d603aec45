import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { expect, test } from 'vitest';
import { createStreamsBucket } from '../../../lib/bus/channel/store/create-bucket.ts';
import { catalogBounds, readCatalog, readManifest, unbounded } from '../../../lib/bus/channel/store/manifests.ts';
import { openReceipts } from '../../../lib/bus/channel/store/receipts.ts';
import { isValue, lastMessages } from '../../../lib/bus/jetstream/read-bucket.ts';
import { listLocks, openLocks } from '../../../lib/bus/locks/locks.ts';
import { makePolicyBucket, readPolicies } from '../../../lib/bus/policies/bucket.ts';
import { storedName } from '../../../lib/bus/subjects.ts';
import type { Receipt } from '../../../schemas/stored.ts';
import { rejection, useBus } from '../../support/bus.ts';
import { mentions } from '../../support/mentions.ts';
import { newNatsAccount } from '../../support/nats-account.ts';
import { streamsOf } from '../../support/streams.ts';

const mib = 2 ** 20;

const useAccount = async () => useBus(await newNatsAccount(), { wait: true });

async function useStore() {
  const bus = await useAccount();
  await createStreamsBucket(bus, 'src', { maxBytes: 256 * mib, maxAgeSeconds: 3600, replicas: 1 });
  return { bus, bucket: await streamsOf(bus, 'src') };
}

const digest = `SHA-256=${'A'.repeat(43)}=`;
const start = { transfer: 'transfer1', job: 'jobjobjob1', sourceHost: 'src', targetDataset: 'pool/a' };

/** @param segments each has its own digest */
function manifestOf(id: string, segments = 2, more: object = {}): object {
  const to = { name: 'pool/a@1', guid: '1' };
  return {
    ...{ version: 1, id, source: 'src', segment: 65_536, bytes: 65_536 * segments },
    digests: Array.from({ length: segments }, () => digest),
    targets: [{ host: 'dst', start: { ...start, to } }],
    ...more,
  };
}

type Store = Awaited<ReturnType<typeof useStore>>;
const put = ({ bucket }: Store, id: string, manifest: object) =>
  bucket.put(storedName({ kind: 'manifest', id }), Buffer.from(JSON.stringify(manifest)), '');

test('no digest of a manifest stays in memory; a fetch reads it again', async () => {
  const store = await useStore();
  await put(store, 'stream1', manifestOf('stream1', 3));
  const { waiting } = await readCatalog(store.bucket, () => {}).read();
  expect(waiting).toMatchObject([{ id: 'stream1', bytes: 3 * 65_536, segments: 3 }]);
  expect(JSON.stringify(waiting)).not.toContain('SHA-256');
  const [stream] = waiting;
  if (!stream) throw new Error('no stream');
  expect((await readManifest(store.bucket, stream)).digests).toHaveLength(3);
  await put(store, 'stream1', manifestOf('stream1', 4));
  expect(await rejection(readManifest(store.bucket, stream))).toMatchObject({
    code: 'STREAM_BROKEN',
    details: { reason: 'lost' },
  });
  await put(store, 'stream1', { nonsense: true });
  expect(await rejection(readManifest(store.bucket, stream))).toMatchObject({ details: { reason: 'lost' } });
  await store.bucket.remove(storedName({ kind: 'manifest', id: 'stream1' }));
  expect(await rejection(readManifest(store.bucket, stream))).toMatchObject({ details: { reason: 'lost' } });
});

test('large manifests for others cost little memory', { timeout: 60_000 }, async () => {
  const store = await useStore();
  const text = Buffer.from(JSON.stringify(manifestOf('stream0', 90_000)));
  for (let n = 0; n < 8; n += 1) {
    const name = storedName({ kind: 'manifest', id: `stream${n}` });
    await store.bucket.put(name, Buffer.from(text.toString().replace('"stream0"', `"stream${n}"`)), '');
  }
  const reader = readCatalog(store.bucket, () => {});
  const { waiting } = await reader.read();
  expect(waiting).toHaveLength(8);
  // what is kept is less than a hundredth of what was read
  expect(JSON.stringify(waiting).length).toBeLessThan((8 * text.length) / 100);
});

test.each([
  ['streams', { streams: 2 }],
  ['bytes in the manifests of its streams', { bytes: 500 }],
])(
  'a store with too many %s is refused whole, and again without being read, until it changes',
  async (limit, bound) => {
    const store = await useStore();
    for (const id of ['stream1', 'stream2', 'stream3']) await put(store, id, manifestOf(id));
    let reads = 0;
    const counted = {
      ...store.bucket,
      get: (...args: Parameters<Store['bucket']['get']>) => {
        reads += 1;
        return store.bucket.get(...args);
      },
    };
    const reader = readCatalog(counted, () => {}, { ...catalogBounds, ...bound });
    const error = await rejection(reader.read());
    expect(error).toMatchObject({ code: 'TOO_MUCH', details: { limit } });
    expect(error.message).toEqual(mentions('src'));
    const before = reads;
    expect(await rejection(reader.read())).toMatchObject({ code: 'TOO_MUCH' });
    expect(reads).toBe(before);
    for (const id of ['stream2', 'stream3']) await store.bucket.remove(storedName({ kind: 'manifest', id }));
    expect((await reader.read()).waiting).toHaveLength(1);
    // its own source reads all that it has put there
    expect((await readCatalog(store.bucket, () => {}, unbounded).read()).waiting).toHaveLength(1);
  },
);

test('a store with too many manifests that are no manifests is refused whole', async () => {
  const store = await useStore();
  for (const id of ['stream1', 'stream2', 'stream3']) await put(store, id, { no: 'manifest' });
  const refused: string[] = [];
  const reader = readCatalog(store.bucket, (why) => refused.push(why), { ...catalogBounds, refused: 1 });
  expect(await rejection(reader.read())).toMatchObject({ code: 'TOO_MUCH' });
  expect(refused).toHaveLength(2);
});

async function useStatus() {
  const bus = await useAccount();
  const js = jetstream(bus.nc);
  await openReceipts(bus).write('dst', 'src', 'stream1', 0, { state: 'done', bytes: 1 });
  return { bus, put: (key: string, value: string) => js.publish(`$KV.zfs-status.${key}`, value) };
}

const all = { subjects: 1000, bytes: mib, entry: 64 * 1024 };
const text = (message: { string(): string }) => message.string();

test('a bucket with more keys than are read is TOO_MUCH; those of others do not count', async () => {
  const { bus, put } = await useStatus();
  for (let n = 0; n < 20; n += 1) await put(`other.delivered.src.stream${n}.0`, 'x');
  const read = (filter: string, bounds: object) =>
    lastMessages(bus, 'KV_zfs-status', `$KV.zfs-status.${filter}`, text, { ...all, ...bounds });
  expect((await read('>', {})).found).toHaveLength(21);
  expect(await rejection(read('>', { subjects: 20 }))).toMatchObject({
    code: 'TOO_MUCH',
    details: { limit: 'subjects', most: 20 },
  });
  expect((await read('dst.>', { subjects: 1 })).found).toHaveLength(1);
  expect(await rejection(read('other.>', { bytes: 10 }))).toMatchObject({
    code: 'TOO_MUCH',
    details: { limit: 'bytes' },
  });
});

test('a value that is larger than any of ours is passed over', async () => {
  const { bus, put } = await useStatus();
  const large = JSON.stringify({
    state: 'done',
    bytes: 1,
    error: { code: 'INTERNAL', message: 'x', retryable: false, details: { fill: 'x'.repeat(70_000) } },
  });
  await put('dst.delivered.src.stream2.0', large);
  const read = await openReceipts(bus).read('src', 'dst');
  expect(read.map(({ id }) => id)).toEqual(['stream1']);
});

test('a receipt with much evidence is written with what its reader decides by', async () => {
  const { bus } = await useStatus();
  const snapshots = Array.from({ length: 2000 }, (_, n) => ({ name: `daily-${n}`, guid: String(n) }));
  const error: Receipt['error'] = {
    code: 'DIVERGED',
    message: 'm'.repeat(8000),
    retryable: false,
    details: { snapshots, reason: 'lost', dataset: 'pool/a' },
  };
  await openReceipts(bus).write('dst', 'src', 'stream2', 0, { state: 'failed', bytes: 7, error });
  const found = (await openReceipts(bus).read('src', 'dst')).find(({ id }) => id === 'stream2');
  expect(found?.receipt).toMatchObject({
    state: 'failed',
    bytes: 7,
    error: { code: 'DIVERGED', message: 'm'.repeat(500), details: { reason: 'lost', dataset: 'pool/a' } },
  });
  const stored = await (await jetstreamManager(bus.nc)).streams.getMessage('KV_zfs-status', {
    last_by_subj: '$KV.zfs-status.dst.delivered.src.stream2.0',
  });
  expect(stored?.data.length).toBeLessThan(2000);
});

test('policies beyond their number are TOO_MUCH, and one that is too long has no text', async () => {
  const bus = await useAccount();
  await makePolicyBucket(bus);
  const js = jetstream(bus.nc);
  await js.publish('$KV.zfs-policies.src.long', 'x'.repeat(70_000));
  await js.publish('$KV.zfs-policies.src.good', '{}');
  const found = (await readPolicies(bus, 2)) ?? [];
  expect(found.map(({ key, text }) => [key, text]).sort()).toEqual([
    ['src.good', '{}'],
    ['src.long', ''],
  ]);
  expect(await rejection(Promise.resolve(readPolicies(bus, 1)))).toMatchObject({ code: 'TOO_MUCH' });
});

test('locks are listed without what expired, was released, or is none', async () => {
  const bus = await useAccount();
  const locks = await openLocks(bus, 30);
  const lock = { source: 'src', owner: 'owner1', transferHash: '0123456789abcdef', nonce: 'nonce1' };
  const lease = await locks.acquire('dst', 'pool/a', lock);
  await locks.acquire('dst', 'pool/b', { ...lock, nonce: 'nonce2' });
  await jetstream(bus.nc).publish('$KV.zfs-locks.dst.pool/c', 'nonsense');
  await lease.release();
  expect((await listLocks(bus)).map(({ host, dataset, source }) => [host, dataset, source])).toEqual([
    ['dst', 'pool/b', 'src'],
  ]);
  const { found } = await lastMessages(bus, 'KV_zfs-locks', '$KV.zfs-locks.>', (message) => [
    message.subject,
    isValue(message),
  ]);
  expect(Object.fromEntries(found.map(([subject, is]) => [subject, is]))).toMatchObject({
    '$KV.zfs-locks.dst.pool/a': false,
    '$KV.zfs-locks.dst.pool/b': true,
  });
});
