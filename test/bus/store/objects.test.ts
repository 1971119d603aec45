import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Objm } from '@nats-io/obj';
import { headers } from '@nats-io/transport-node';
import { expect, test } from 'vitest';
import { storeConnection } from '../../../lib/bus/channel/store/connection.ts';
import { createStreamsBucket } from '../../../lib/bus/channel/store/create-bucket.ts';
import { readCatalog } from '../../../lib/bus/channel/store/manifests.ts';
import { openStreams, type StreamsBucket } from '../../../lib/bus/channel/store/object-bucket.ts';
import { rejection, useBus } from '../../support/bus.ts';
import { ownNatsServer } from '../../support/nats-server.ts';
import { streamsOf } from '../../support/streams.ts';

const kib = 1024;
const mib = 1024 * kib;
const stream = 'OBJ_zfs-streams-src';

async function useBucket(options: { config?: string; maxBytes?: number } = {}) {
  const server = await ownNatsServer({ jetstream: true, config: options.config ?? '' });
  const bus = await useBus(server.url, { wait: true });
  await createStreamsBucket(bus, 'src', { maxBytes: options.maxBytes ?? 256 * mib, maxAgeSeconds: 3600, replicas: 1 });
  const bucket = await streamsOf(bus, 'src');
  const manager = await jetstreamManager(bus.nc);
  const chunks = async () =>
    Object.keys(
      (await manager.streams.info(stream, { subjects_filter: '$O.zfs-streams-src.C.>' })).state.subjects ?? {},
    );
  const library = await new Objm(jetstream(bus.nc)).open('zfs-streams-src');
  return { server, bus, bucket, manager, chunks, library };
}

/** Where the chunks of an object are in their stream. */
async function sequencesOf({ bucket, manager, library }: Awaited<ReturnType<typeof useBucket>>, name: string) {
  await bucket.get(name, mib * 256);
  const { nuid = '' } = (await library.info(name)) ?? {};
  const sequences: number[] = [];
  for (let seq = 1; ; ) {
    const found = await manager.direct
      .getMessage(stream, { seq, next_by_subj: `$O.zfs-streams-src.C.${nuid}` })
      .catch(() => null);
    if (!found) return { nuid, sequences };
    sequences.push(found.seq);
    seq = found.seq + 1;
  }
}

const sizes = [0, 1, 128 * kib - 1, 128 * kib, 128 * kib + 1, 16 * mib, 20 * mib + 7];

test('what is put comes back, and is what the object store of the library puts and gets', async () => {
  const { bucket, library } = await useBucket();
  for (const size of sizes) {
    const bytes = randomBytes(size);
    const put = await bucket.put(`ours-${size}`, bytes, 'some bytes');
    const got = await bucket.get(`ours-${size}`, size);
    expect(got?.bytes.equals(bytes)).toBe(true);
    expect(got?.object).toEqual(put);
    const info = await library.info(`ours-${size}`);
    expect(info).toMatchObject({ size, description: 'some bytes', digest: put.digest, revision: put.seq });
    expect(Buffer.from((await library.getBlob(`ours-${size}`)) ?? []).equals(bytes)).toBe(true);
    await library.putBlob({ name: `theirs-${size}` }, bytes);
    expect((await bucket.get(`theirs-${size}`, size))?.bytes.equals(bytes)).toBe(true);
  }
  const names = sizes.flatMap((size) => [`ours-${size}`, `theirs-${size}`]);
  expect((await bucket.names()).toSorted()).toEqual(names.sort());
  expect((await library.list()).map(({ name }) => name).sort()).toEqual(names);
});

test('memory that is given is used where it is large enough', async () => {
  const { bucket } = await useBucket();
  const bytes = randomBytes(3 * mib);
  await bucket.put('a', bytes, '');
  const into = Buffer.alloc(4 * mib, 1);
  const got = await bucket.get('a', 4 * mib, into);
  expect(got?.bytes.buffer).toBe(into.buffer);
  expect(got?.bytes.equals(bytes)).toBe(true);
  expect(into.subarray(3 * mib).every((byte) => byte === 1)).toBe(true);
  expect((await bucket.get('a', 4 * mib, Buffer.alloc(mib)))?.bytes.equals(bytes)).toBe(true);
  expect((await rejection(bucket.get('a', 2 * mib))).code).toBe('STREAM_BROKEN');
});

test('a name that is put again has the later bytes, and the earlier ones are gone', async () => {
  const { bucket, chunks } = await useBucket();
  await bucket.put('a', randomBytes(mib), '');
  const bytes = randomBytes(2 * mib);
  await bucket.put('a', bytes, '');
  expect((await bucket.get('a', 2 * mib))?.bytes.equals(bytes)).toBe(true);
  expect(await chunks()).toHaveLength(1);
  await bucket.remove('a');
  expect([await bucket.names(), await chunks(), await bucket.get('a', mib)]).toEqual([[], [], undefined]);
});

test('what a killed writer has left of an object is named, and can be removed without harm to others', async () => {
  const { bucket, chunks, library, bus } = await useBucket();
  await bucket.put('a', randomBytes(mib), '');
  await bucket.put('b', randomBytes(mib), '');
  // up to the last chunk, without the metadata
  const { nuid = '' } = (await library.info('b')) ?? {};
  await jetstream(bus.nc).publish(`$O.zfs-streams-src.C.${nuid.replace(/^[^-]*/, 'another')}`, randomBytes(1000));
  expect((await bucket.names()).toSorted()).toEqual(['a', 'b']);
  await bucket.remove('b');
  expect([await bucket.names(), (await bucket.withChunks()).toSorted()]).toEqual([['a'], ['a', 'b']]);
  await bucket.remove('b');
  expect(await bucket.names()).toEqual(['a']);
  expect(await chunks()).toHaveLength(1);
  expect(await bucket.get('a', mib)).toBeDefined();
});

test('what was written over names nothing else to remove', async () => {
  const { bucket, chunks, bus } = await useBucket();
  await bucket.put('a', randomBytes(mib), '');
  const meta = `$O.zfs-streams-src.M.${Buffer.from('x').toString('base64')}`;
  for (const id of ['*', '>', 7]) {
    await jetstream(bus.nc).publish(meta, JSON.stringify({ name: 'x', bucket: 'zfs-streams-src', nuid: id, size: 1 }));
    await bucket.remove('x');
  }
  expect(await chunks()).toHaveLength(1);
});

test('many are put and got at once', async () => {
  const { bucket } = await useBucket();
  const all = Array.from({ length: 8 }, () => randomBytes(5 * mib));
  await Promise.all(all.map((bytes, at) => bucket.put(`${at}`, bytes, '')));
  const got = await Promise.all(all.map((_, at) => bucket.get(`${at}`, 5 * mib)));
  expect(got.map((one, at) => one?.bytes.equals(all[at] ?? Buffer.alloc(0)))).toEqual(all.map(() => true));
});

test('a server that takes only small messages stores them too', async () => {
  const { bucket } = await useBucket({ config: 'max_payload: 64KB' });
  const bytes = randomBytes(mib + 1);
  await bucket.put('a', bytes, '');
  expect((await bucket.get('a', 2 * mib))?.bytes.equals(bytes)).toBe(true);
});

test('a full bucket refuses an object, keeps nothing of it, and takes it when there is room', async () => {
  const { bucket, chunks } = await useBucket({ maxBytes: 64 * mib });
  await bucket.put('a', randomBytes(50 * mib), '');
  const bytes = randomBytes(20 * mib);
  expect(await rejection(bucket.put('b', bytes, ''))).toMatchObject({
    code: 'NO_SPACE',
    details: { reason: 'store-full' },
  });
  expect(await chunks()).toHaveLength(1);
  expect(await bucket.names()).toEqual(['a']);
  await bucket.remove('a');
  await bucket.put('b', bytes, '');
  expect((await bucket.get('b', 20 * mib))?.bytes.equals(bytes)).toBe(true);
});

test('an object whose last chunk alone has no room is not taken for stored', async () => {
  const { bucket, chunks } = await useBucket({ maxBytes: 64 * mib });
  await bucket.put('a', randomBytes(60.25 * mib), '');
  expect((await rejection(bucket.put('b', randomBytes(3.75 * mib), ''))).code).toBe('NO_SPACE');
  expect([await bucket.names(), (await chunks()).length]).toEqual([['a'], 1]);
  await bucket.put('b', randomBytes(3.5 * mib), '');
});

test.each<[string, (sequences: readonly number[]) => readonly number[]]>([
  ['the first', (sequences) => sequences.slice(0, 1)],
  ['one in the middle', (sequences) => sequences.slice(4, 5)],
  ['the last', (sequences) => sequences.slice(-1)],
  ['all', (sequences) => sequences],
])('an object that lacks %s of its chunks is reported at once', async (_, which) => {
  const world = await useBucket();
  const { bucket, manager } = world;
  await bucket.put('a', randomBytes(2 * mib), '');
  for (const seq of which((await sequencesOf(world, 'a')).sequences)) await manager.streams.deleteMessage(stream, seq);
  const began = performance.now();
  const error = await rejection(bucket.get('a', 2 * mib));
  expect(error).toMatchObject({ code: 'STREAM_BROKEN', details: { reason: 'missing' } });
  // it is not found out by waiting for what does not come, which takes ten seconds
  expect(performance.now() - began).toBeLessThan(8000);
});

test('an object with other bytes is damaged', async () => {
  const world = await useBucket();
  const { bucket, bus, manager } = world;
  await bucket.put('a', randomBytes(mib), '');
  const { nuid, sequences } = await sequencesOf(world, 'a');
  const subject = `$O.zfs-streams-src.C.${nuid}`;
  await manager.streams.deleteMessage(stream, sequences[3] ?? 0);
  await jetstream(bus.nc).publish(subject, randomBytes(128 * kib));
  expect((await rejection(bucket.get('a', mib))).details).toEqual({ reason: 'damaged' });
});

test('what is put or got while the server goes away fails soon, and goes well when it is back', async () => {
  const { bucket, server } = await useBucket();
  const bytes = randomBytes(16 * mib);
  await bucket.put('a', bytes, '');
  for (const work of [() => bucket.put('b', bytes, ''), () => bucket.get('a', 16 * mib)]) {
    const all = Array.from({ length: 6 }, () => work().then(() => undefined, String));
    await server.kill();
    const began = performance.now();
    const failures = (await Promise.all(all)).filter((failure) => failure !== undefined);
    expect(failures.length).toBeGreaterThan(0);
    // not by waiting for an answer, for ten seconds
    expect(performance.now() - began).toBeLessThan(8000);
    await server.restart();
    await again(bucket, bytes);
  }
});

/** As the store's patience has it. */
async function again(bucket: StreamsBucket, bytes: Buffer): Promise<void> {
  const done = async () => {
    await bucket.put('b', bytes, '');
    return (await bucket.get('b', bytes.length))?.bytes.equals(bytes);
  };
  await expect.poll(() => done().catch(String), { timeout: 30_000 }).toBe(true);
}

test('an object whose chunks are removed while it is put does not count as stored', async () => {
  const { bucket, manager, chunks } = await useBucket();
  const putting = rejection(bucket.put('a', randomBytes(64 * mib), ''));
  putting.catch(() => {});
  await expect.poll(chunks, { interval: 1, timeout: 20_000 }).toHaveLength(1);
  await manager.streams.purge(stream, { filter: '$O.zfs-streams-src.C.>' });
  expect(await putting).toMatchObject({ code: 'UNREACHABLE' });
  expect([await bucket.names(), await chunks()]).toEqual([[], []]);
});

test('of a put that was tried again after the connection was lost only the last try is left', async () => {
  const { bucket, server, chunks } = await useBucket();
  const bytes = randomBytes(16 * mib);
  for (let tries = 0; tries < 3; tries += 1) {
    const putting = bucket.put('a', bytes, '').catch(() => {});
    await expect.poll(() => chunks().catch(() => []), { interval: 1, timeout: 20_000 }).not.toEqual([]);
    await server.kill();
    await putting;
    await server.restart();
    await expect.poll(() => bucket.mark().catch(() => undefined), { timeout: 20_000 }).toBeDefined();
  }
  await bucket.put('a', bytes, '');
  // the connection that asks is another one, and may be back later
  await expect.poll(() => chunks().catch(() => []), { timeout: 20_000 }).toHaveLength(1);
  expect((await bucket.get('a', 16 * mib))?.bytes.equals(bytes)).toBe(true);
});

test('a client that knows an inbox triggers no publication and ends nothing', async () => {
  const { bucket, bus } = await useBucket();
  const bytes = randomBytes(16 * mib);
  await bucket.put('a', bytes, '');
  const triggered: string[] = [];
  bus.nc.subscribe('secret.>', {
    // the server itself answers where a forged reply has no subscriber
    callback: (_, message) => void (message.headers?.code === 503 || triggered.push(message.subject)),
  });
  let forged = 0;
  bus.nc.subscribe('_INBOX.>', {
    callback: (_, { subject }) => {
      // not under the subject that is stored, where it would be stored itself
      if (!subject.startsWith('_INBOX') || forged++ > 100) return;
      for (const stalled of ['a b c', 'secret.command', '']) {
        const status = headers(100, 'Idle Heartbeat');
        status.set('Nats-Consumer-Stalled', stalled);
        bus.nc.publish(subject, '', { headers: status, reply: 'secret.reply' });
      }
    },
  });
  await bus.nc.flush();
  // it may fail, and then soon
  await bucket.get('a', 16 * mib).catch(() => {});
  forged = 1000;
  await bus.nc.flush();
  expect((await bucket.get('a', 16 * mib))?.bytes.equals(bytes)).toBe(true);
  expect([forged, triggered]).toEqual([expect.any(Number), []]);
});

test('overwritten metadata is reported and skipped, and can be removed and put again', async () => {
  const { bucket, chunks, bus } = await useBucket();
  const bytes = randomBytes(mib);
  const good = { name: 'x', bucket: 'zfs-streams-src', nuid: 'abc', size: 1, chunks: 1, digest: 'SHA-256=' };
  const bad = [{ size: -1 }, { size: '5' }, { size: null }, { nuid: 'a b' }, { nuid: '*' }, { digest: 7 }];
  for (const text of ['', 'null', '{', ...bad.map((one) => JSON.stringify({ ...good, ...one }))]) {
    await bucket.put('abcdef/manifest', bytes, '');
    const subject = `$O.zfs-streams-src.M.${Buffer.from('abcdef/manifest').toString('base64')}`;
    await jetstream(bus.nc).publish(subject, text);
    expect((await rejection(bucket.get('abcdef/manifest', mib))).details).toEqual({ reason: 'overwritten' });
    const refused: string[] = [];
    const { waiting, names } = await readCatalog(bucket, (why) => refused.push(why)).read();
    expect([waiting, names, refused.length]).toEqual([[], ['abcdef/manifest'], 1]);
    await bucket.remove('abcdef/manifest');
    expect([await bucket.names(), await chunks()]).toEqual([[], []]);
  }
});

test.each(['{}', '[]', '{"num_pending":"x"}', '{"num_pending":1,"delivered":null}'])(
  'a JetStream domain that answers %s when a consumer is made ends nothing',
  async (odd) => {
    const { bucket, bus } = await useBucket();
    const bytes = randomBytes(mib);
    await bucket.put('a', bytes, '');
    const api = '$JS.evil.API.';
    bus.nc.subscribe(`${api}>`, {
      callback: (_, message) => {
        const asked = message.subject.slice(api.length);
        const answer = bus.nc.request(`$JS.API.${asked}`, message.data);
        void answer.then(({ data }) => message.respond(asked.startsWith('CONSUMER.CREATE') ? odd : data));
      },
    });
    await bus.nc.flush();
    const at = await storeConnection(bus, 'test').open();
    const evil = await openStreams({ ...at, domain: 'evil' }, 'src');
    // an unhandled exception fails the test
    await evil.get('a', mib).catch(() => {});
    // time enough for an exception after the answer
    await sleep(200);
    expect((await bucket.get('a', mib))?.bytes.equals(bytes)).toBe(true);
  },
);
