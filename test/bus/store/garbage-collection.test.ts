import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createStreamsBucket } from '../../../lib/bus/channel/store/create-bucket.ts';
import { request } from '../../../lib/bus/rpc/request.ts';
import { storedName, subjects } from '../../../lib/bus/subjects.ts';
import { systemClock } from '../../../lib/time/clock.ts';
import { timing } from '../../../lib/time/timing.ts';
import { jobAbortedSchema, sendStatusSchema } from '../../../schemas/job.ts';
import type { Log } from '../../../services/host/log.ts';
import { livingJobs as livingJobsOf } from '../../../services/sender/job/siblings.ts';
import { openGarbageCollection } from '../../../services/sender/store/garbage-collection.ts';
import { codesOf, mentions } from '../../support/mentions.ts';
import {
  arrived,
  command,
  emptied,
  send,
  snapshot,
  startReceiver,
  stored,
  useWorld,
  type World,
} from '../../support/store-world.ts';

const segments = async (world: World, at = 1): Promise<number> =>
  (await stored(world)).filter((name) => Number(name.split('/')[1]) === at).length;

test.each<'SIGINT' | 'SIGHUP' | 'SIGKILL'>(['SIGINT', 'SIGHUP', 'SIGKILL'])(
  'a command that gets %s while it stores leaves nothing of it',
  async (signal) => {
    const world = await useWorld();
    await snapshot(world.src, 2_000_000_000, '1');
    const sending = command(world, 'store', { env: { ZFS_SIM_SEND_RATE: '200M' } });
    // by then others are on their way
    await expect.poll(() => segments(world, 20), { timeout: 30_000 }).toBe(1);
    sending.kill(signal);
    await sending;
    await expect.poll(() => stored(world), { timeout: 10_000 }).toEqual([]);
  },
);

test('a job that is aborted while it stores reports that, and nothing of the stream stays', async () => {
  const world = await useWorld();
  await snapshot(world.src, 200_000_000, '1');
  const sending = command(world, 'store', { env: { ZFS_SIM_SEND_RATE: '20M' } });
  await expect.poll(() => segments(world), { timeout: 20_000 }).toBe(1);
  const each = subjects.each(subjects.send('src', 'status'));
  const { jobs } = await request(world.fleet.bus, each, {}, sendStatusSchema);
  await request(world.fleet.bus, subjects.each(subjects.send('src', 'abort')), { job: jobs[0]?.job }, jobAbortedSchema);
  const { stderr, exitCode } = await sending;
  expect([exitCode, codesOf(stderr), stderr]).toEqual([1, ['ABORTED'], mentions(`${jobs[0]?.job}`, 'src')]);
  expect(await stored(world)).toEqual([]);
});

test('what is not added to for long, and whose job is dead, is deleted; the server tells for how long', async () => {
  const { fleet, bucket } = await useWorld();
  await createStreamsBucket(fleet.bus, 'src', { maxBytes: 2 ** 30, maxAgeSeconds: 3600, replicas: 1 });
  const put = (id: string, at = 0) =>
    bucket.put(storedName({ kind: 'segment', id, at }), Buffer.alloc(500_000), 'left');
  const [{ name: old }, { name: living }, { name: growing }] = [
    await put('killed0001x1'),
    await put('living0001x1'),
    await put('killed0002x1'),
  ];
  const log = { warn() {} } as unknown as Log;
  const livingJobs = async () => new Set(['living0001']);
  const times = { ...timing.garbageCollection, idleMs: 2000, askedAgainMs: 1 };
  const collect = openGarbageCollection({ log, clock: systemClock, livingJobs, isBrief: true, times });
  await expect.poll(() => bucket.idle([old, growing]), { timeout: 10_000 }).toBeGreaterThan(times.idleMs);
  const { name: grown } = await put('killed0002x1', 1);
  await collect(bucket, await bucket.names(), new AbortController().signal);
  expect((await bucket.names()).sort()).toEqual([growing, grown, living].sort());
  expect(await bucket.withChunks()).not.toContain(old);
});

/** Collects the garbage of src again and again, and takes a job for dead that is missing for half a second. */
function collectAlways({ fleet, bucket }: World): { readonly removed: string[]; end(): Promise<void> } {
  const removed: string[] = [];
  const log = { warn: (event: string) => void removed.push(event) } as unknown as Log;
  const livingJobs = () => livingJobsOf({ host: 'src', bus: fleet.bus }, { running: [] });
  const times = { ...timing.garbageCollection, missedMs: 500 };
  const collect = openGarbageCollection({ log, clock: systemClock, livingJobs, isBrief: false, times });
  const stop = new AbortController();
  async function run(): Promise<void> {
    while (!stop.signal.aborted) {
      await collect(bucket, await bucket.names(), stop.signal);
      await sleep(50);
    }
  }
  const running = run();
  return {
    removed,
    end: () => {
      stop.abort();
      return running;
    },
  };
}

test('no job is taken for dead where streams are stored and fetched as they should', async () => {
  const world = await useWorld();
  await createStreamsBucket(world.fleet.bus, 'src', { maxBytes: 2 ** 30, maxAgeSeconds: 3600, replicas: 1 });
  // the first stream is incomplete for 10 s, and each question to the senders for their jobs takes 3 s
  await world.fleet.start('sender', world.src, { ZFS_SIM_SEND_RATE: '4M' });
  const receiver = await startReceiver(world);
  const collection = collectAlways(world);
  for (const [name, bytes] of Object.entries({ 1: 60_000_000, 2: 1_000_000 })) {
    await snapshot(world.src, bytes, name);
    expect(await send(world, { channel: 'store' })).toMatchObject({ state: 'done', channel: 'store' });
    await arrived(world);
    await emptied(world);
  }
  await receiver.end();
  await collection.end();
  expect(collection.removed).toEqual([]);
});
