import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { jetstreamManager } from '@nats-io/jetstream';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { openLocks } from '../../lib/bus/lease/locks.ts';
import { readStatus } from '../../lib/bus/status/read.ts';
import { openStreams, type StreamsBucket } from '../../lib/bus/store/bucket.ts';
import { parseStoredName, subjects } from '../../lib/bus/subjects.ts';
import { startNatsServer } from '../../lib/nats-server/start.ts';
import { fanStartedSchema, type Job } from '../../schemas/job.ts';
import { fetchOutputSchema } from '../../schemas/output.ts';
import { type Fleet, useFleet } from '../support/fleet.ts';
import type { ServiceProcess } from '../support/service.ts';
import type { SimHost } from '../support/sim-host.ts';

const program = fileURLToPath(new URL('../../bin/zpsend.ts', import.meta.url));
const simBin = fileURLToPath(new URL('../../lib/zfs-sim/bin', import.meta.url));
const allow = { ZPSEND_ALLOW: '*=pool' };

interface World {
  readonly fleet: Fleet;
  readonly src: SimHost;
  readonly dst: SimHost;
  readonly bucket: StreamsBucket;
  readonly url: string;
}

/** On a server of its own: what a source stores is named after its host. */
async function useWorld(): Promise<World> {
  const server = await startNatsServer({ jetstream: true });
  onTestFinished(() => server.stop());
  const fleet = await useFleet(server.url);
  const [src, dst] = await Promise.all([fleet.host('src'), fleet.host('dst')]);
  await Promise.all([src.zpool('create', 'pool'), dst.zpool('create', 'pool')]);
  await src.zfs('create', 'pool/a');
  const bucket = await openStreams(fleet.bus, 'src');
  return { fleet, src, dst, bucket, url: server.url };
}

async function snapshot(host: SimHost, bytes: number, ...names: string[]): Promise<void> {
  for (const name of names) {
    await host.zfs('set', `zfs-sim:write=${bytes}`, 'pool/a');
    await host.zfs('snapshot', `pool/a@${name}`);
  }
}

const list = (host: SimHost): Promise<string> =>
  host.zfs('list', '-Hp', '-r', '-t', 'snapshot', '-o', 'name,guid', 'pool/a').catch(() => '');

/** The resume token of what has begun to arrive. */
const partial = ({ dst }: World): Promise<string> =>
  dst.zfs('get', '-Hpo', 'value', 'receive_resume_token', 'pool/a').catch(() => '-');

const arrived = ({ src, dst }: World): Promise<void> =>
  list(src).then((all) => expect.poll(() => list(dst), { timeout: 60_000 }).toBe(all));

/** What lies in the store, without what is remembered of targets. */
const stored = async ({ bucket }: World): Promise<string[]> =>
  (await bucket.mark()) === undefined
    ? []
    : (await bucket.list()).map(({ name }) => name).filter((name) => parseStoredName(name)?.kind !== 'sight');

const emptied = (world: World): Promise<void> => expect.poll(() => stored(world), { timeout: 60_000 }).toEqual([]);

async function nothingLeft({ fleet, src }: World): Promise<void> {
  const names = (await list(src)).split('\n').map((line) => line.split('\t')[0] ?? '');
  expect(await src.zfs('holds', '-H', ...names)).toBe('');
  const locks = await openLocks(fleet.bus, 4);
  await expect.poll(() => locks.list(), { timeout: 30_000 }).toEqual([]);
}

const send = ({ fleet }: World, more: object = {}): Promise<Job> =>
  fleet.send('src', { dataset: 'pool/a', to: { host: 'dst' }, channel: 'auto', ...more });

const startReceiver = ({ fleet, dst }: World, env: NodeJS.ProcessEnv = {}): Promise<ServiceProcess> =>
  fleet.start('receiver', dst, { ...allow, ...env });

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

test('what waits already is built upon, though the source has destroyed its snapshots since', async () => {
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

test('a target that was there and goes away is planned for by what it had when it was seen', async () => {
  const world = await useWorld();
  await world.fleet.start('sender', world.src);
  const receiver = await startReceiver(world);
  await snapshot(world.src, 1_000_000, '1', '2');
  const direct = await send(world);
  expect(direct).toMatchObject({ state: 'done', done: 2 });
  expect(direct.channel).toBeUndefined();
  await receiver.end('SIGTERM');
  await snapshot(world.src, 1_000_000, '3');
  await world.src.zfs('destroy', 'pool/a@1,2');
  expect(await send(world)).toMatchObject({ state: 'done', channel: 'store', done: 1 });
  await startReceiver(world);
  await expect.poll(() => list(world.dst), { timeout: 30_000 }).toContain('pool/a@3');
  await emptied(world);
});

test('what waits is fetched before anything is sent past it', async () => {
  const world = await useWorld();
  await world.fleet.start('sender', world.src);
  await snapshot(world.src, 30_000_000, '1');
  expect(await send(world)).toMatchObject({ state: 'done', channel: 'store' });
  const receiver = await startReceiver(world, { ZFS_SIM_RECV_RATE: '8M' });
  await receiver.said('waits in the store');
  await snapshot(world.src, 1_000_000, '2');
  expect(await send(world)).toMatchObject({ state: 'done', channel: 'store', done: 1 });
  await arrived(world);
  await emptied(world);
});

test.each<'SIGKILL' | 'SIGTERM'>(['SIGKILL', 'SIGTERM'])(
  'a receiver that gets %s in the middle of a stored stream begins it anew',
  async (signal) => {
    const world = await useWorld();
    await world.fleet.start('sender', world.src);
    await snapshot(world.src, 60_000_000, '1');
    await send(world);
    const receiver = await startReceiver(world, { ZFS_SIM_RECV_RATE: '10M' });
    await receiver.said('initial receive of pool/a@1');
    await expect.poll(() => partial(world), { timeout: 30_000 }).not.toBe('-');
    await receiver.end(signal);
    expect(await list(world.dst)).toBe('');
    await startReceiver(world);
    await arrived(world);
    await emptied(world);
    await nothingLeft(world);
  },
);

test('a sender that is killed while it stores leaves nothing that anybody takes for whole', async () => {
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

test('a damaged, a missing and a swapped segment are found, told, and the stream is sent again', async () => {
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
  ]) {
    expect(await send(world)).toMatchObject({ state: 'done', channel: 'store', done: 1 });
    await spoil((await stored(world)).sort());
    const receiver = await startReceiver(world);
    await receiver.said('STREAM_BROKEN');
    expect(await list(world.dst)).toBe('');
    await sender.said('has refused pool/a@1 from the store');
    await receiver.end();
    await emptied(world);
  }
  await startReceiver(world);
  expect(await send(world)).toMatchObject({ state: 'done', done: 1 });
  await arrived(world);
});

test('a manifest that another host has forged, or nobody can read, is passed over', async () => {
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
  const refused = (id: string) => receiver.log.some((line) => line.includes(id) && line.includes('is refused'));
  for (const id of ['forged0001', 'forged0002', 'forged0003', 'forged0004', 'forged0005'])
    expect([id, refused(id)]).toEqual([id, true]);
});

test('a full store is waited for, and goes on when a target has taken something', async () => {
  const world = await useWorld();
  const config = join(world.src.env.HOME ?? '', 'zpsend.yaml');
  await writeFile(config, `send: { store: { maxBytes: ${64 * 1024 * 1024} } }\n`);
  const sender = await world.fleet.start('sender', world.src, { ZPSEND_CONFIG: config });
  await snapshot(world.src, 40_000_000, '1', '2');
  const job = world.fleet.send('src', { dataset: 'pool/a', to: { host: 'dst' }, channel: 'store' });
  await sender.said('is full');
  await startReceiver(world);
  expect(await job).toMatchObject({ state: 'done', done: 2 });
  await arrived(world);
  await emptied(world);
}, 90_000);

test('a command without a sender empties a full store too, while it waits for room', async () => {
  const world = await useWorld();
  const { src } = world;
  const config = join(src.env.HOME ?? '', 'zpsend.yaml');
  await writeFile(config, `send: { store: { maxBytes: ${64 * 1024 * 1024} } }\n`);
  await snapshot(src, 40_000_000, '1', '2');
  const sending = execa(process.execPath, [program, 'send', '--channel', 'store', 'pool/a', 'dst'], {
    env: { ...src.env, NATS_URL: world.url, ZPSEND_CONFIG: config },
    extendEnv: false,
    reject: false,
  });
  await expect.poll(async () => (await stored(world)).length, { timeout: 30_000 }).toBeGreaterThan(3);
  await startReceiver(world);
  expect((await sending).exitCode).toBe(0);
  await arrived(world);
}, 90_000);

test('a stream that is compressed on its way is stored so, and a package with a clone and a volume arrives', async () => {
  const world = await useWorld();
  const { src } = world;
  await world.fleet.start('sender', src, { ZFS_SIM_ZEROS: '0.5' });
  await src.zfs('create', 'pool/a/x');
  await src.zfs('create', '-V', '1M', 'pool/a/v');
  await src.zfs('snapshot', '-r', 'pool/a@1');
  await src.zfs('clone', 'pool/a/x@1', 'pool/a/c');
  await snapshot(src, 2_000_000, '2');
  await src.zfs('snapshot', '-r', 'pool/a@3');
  const job = await send(world, { package: 'replication', wire: 'zstd' });
  expect(job).toMatchObject({ state: 'done', channel: 'store', done: 8 });
  expect(job.wireBytes).toBeLessThan(job.bytes);
  await startReceiver(world);
  await arrived(world);
  await emptied(world);
  await nothingLeft(world);
});

test('what a target refuses for good is told, and nothing more is stored for it until it was seen', async () => {
  const world = await useWorld();
  const sender = await world.fleet.start('sender', world.src);
  const first = await startReceiver(world);
  await snapshot(world.src, 1_000_000, '1');
  expect(await send(world)).toMatchObject({ state: 'done', done: 1 });
  await first.end();
  await world.dst.zfs('set', 'zfs-sim:write=100000', 'pool/a');
  await world.dst.zfs('snapshot', 'pool/a@own');
  await snapshot(world.src, 1_000_000, '2');
  expect(await send(world)).toMatchObject({ state: 'done', channel: 'store' });
  const second = await startReceiver(world);
  await sender.said('has refused pool/a@2 from the store');
  await emptied(world);
  const row = async () => (await readStatus(world.fleet.bus))?.found[0]?.entry;
  await expect.poll(row).toMatchObject({ sent: { name: '1' }, run: { state: 'failed' }, error: { code: 'MODIFIED' } });
  await second.end();
  const refused = await send(world);
  expect(refused.state).toBe('failed');
  expect(refused.error?.message).toContain('Nothing more is stored');
  await world.dst.zfs('rollback', '-r', 'pool/a@1');
  await startReceiver(world);
  expect(await send(world)).toMatchObject({ state: 'done', done: 1 });
  await arrived(world);
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

test('zpsend fetch lists what waits, and writes a stream that zfs receives, compressed or not', async () => {
  const world = await useWorld();
  const { fleet, src, dst } = world;
  await fleet.start('sender', src, { ZFS_SIM_ZEROS: '0.5' });
  await snapshot(src, 20_000_000, '1', '2');
  expect(await send(world, { dataset: 'pool/a@1' })).toMatchObject({ done: 1 });
  expect(await send(world, { wire: 'zstd' })).toMatchObject({ done: 1 });
  const run = (...argv: string[]) =>
    execa(process.execPath, [program, ...argv], {
      env: { ...src.env, NATS_URL: world.url },
      extendEnv: false,
      encoding: 'buffer',
      reject: false,
    });
  const listed = await run('fetch', 'src', '--json');
  const { streams } = fetchOutputSchema.parse(JSON.parse(Buffer.from(listed.stdout).toString()));
  expect(streams.map((one) => [one.snapshot, one.isFull])).toEqual([
    ['pool/a@1', true],
    ['pool/a@2', false],
  ]);
  for (const { id } of streams) {
    const file = join(src.env.HOME ?? '', id);
    expect((await run('fetch', 'src', id, '-o', file)).exitCode).toBe(0);
    expect((await run('fetch', 'src', id)).stdout).toEqual(new Uint8Array(await readFile(file)));
    await execa(join(simBin, 'zfs'), ['receive', '-u', 'pool/a'], { env: dst.env, extendEnv: false, inputFile: file });
    // an existing file is not overwritten
    expect((await run('fetch', 'src', id, '-o', file)).exitCode).toBe(1);
  }
  expect(await list(dst)).toBe(await list(src));
  expect((await run('fetch', 'src', 'nosuch0000')).exitCode).toBe(1);
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
  await early.said('stays in the store');
  await early.end();
  expect((await stored(world)).filter((name) => name.endsWith('manifest'))).toHaveLength(2);
  await dst.zpool('create', 'pool');
  await dst.zfs('set', 'quota=1M', 'pool');
  const full = await startReceiver(world);
  await full.said('NO_SPACE');
  await full.end();
  expect((await stored(world)).filter((name) => name.endsWith('manifest'))).toHaveLength(2);
  await dst.zfs('set', 'quota=none', 'pool');
  // what is lost takes with it what builds on it, and the next job brings both
  const [first] = (await stored(world)).filter((name) => name.endsWith('/000000'));
  await world.bucket.remove(first ?? '');
  const last = await startReceiver(world);
  await last.said('starts from a stream that was lost');
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
  const [seed] = await stored(world);
  for (const name of await stored(world))
    if (name.split('/')[0] === seed?.split('/')[0]) await world.bucket.remove(name);
  const first = await startReceiver(world);
  await sender.said('has refused pool/a@2 from the store');
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
    await sender.said('has refused pool/a@3 from the store');
    await emptied(world);
    await third.end();
  });
  const refused = await send(world, tree);
  expect(refused.error?.message).toContain('Nothing more is stored');
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
  await new Promise((resolve) => setTimeout(resolve, 3000));
  expect((await stored(world)).length).toBeGreaterThan(2);
  await fleet.start('receiver', other, allow);
  await arrived({ ...world, dst: other });
  await emptied(world);
  expect(await list(other)).toBe(await list(dst));
  await nothingLeft(world);
});
