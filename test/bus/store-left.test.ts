import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { request } from '../../lib/bus/request.ts';
import { storedName, subjects } from '../../lib/bus/subjects.ts';
import { jobAbortedSchema, sendStatusSchema } from '../../schemas/job.ts';
import { snapshot, stored, useWorld, type World } from '../support/store-world.ts';

const program = fileURLToPath(new URL('../../bin/zpsend.ts', import.meta.url));

/** As cron runs it on a host that has no resident sender. */
const command = ({ src, url }: World, rate = '20M') =>
  execa(process.execPath, [program, 'send', '--channel', 'store', 'pool/a', 'dst'], {
    env: { ...src.env, NATS_URL: url, ZFS_SIM_SEND_RATE: rate },
    extendEnv: false,
    reject: false,
  });

const segments = async (world: World, at = 1): Promise<number> =>
  (await stored(world)).filter((name) => Number(name.split('/')[1]) === at).length;

test.each<'SIGINT' | 'SIGHUP' | 'SIGKILL'>(['SIGINT', 'SIGHUP', 'SIGKILL'])(
  'a command that gets %s while it stores leaves nothing of it',
  async (signal) => {
    const world = await useWorld();
    await snapshot(world.src, 2_000_000_000, '1');
    const sending = command(world, '200M');
    // by then others are on their way
    await expect.poll(() => segments(world, 20), { timeout: 30_000 }).toBe(1);
    sending.kill(signal);
    await sending;
    await expect.poll(() => stored(world), { timeout: 10_000 }).toEqual([]);
  },
);

test('a job that is aborted while it stores says so, and leaves nothing of it', async () => {
  const world = await useWorld();
  await snapshot(world.src, 200_000_000, '1');
  const sending = command(world);
  await expect.poll(() => segments(world), { timeout: 20_000 }).toBe(1);
  const each = subjects.each(subjects.send('src', 'status'));
  const { jobs } = await request(world.fleet.bus, each, {}, sendStatusSchema);
  await request(world.fleet.bus, subjects.each(subjects.send('src', 'abort')), { job: jobs[0]?.job }, jobAbortedSchema);
  const { stderr, exitCode } = await sending;
  expect([exitCode, stderr]).toEqual([1, expect.stringContaining('begins with what is not stored whole')]);
  expect(await stored(world)).toEqual([]);
});

test('a command removes what a killed job has left a minute ago, and nothing younger or of a job that runs', async () => {
  const world = await useWorld();
  await snapshot(world.src, 200_000_000, '1');
  const running = command(world, '1M');
  await expect.poll(() => stored(world), { timeout: 30_000 }).toHaveLength(1);
  const [living = ''] = await stored(world);
  const put = (id: string) => world.bucket.put(storedName({ kind: 'segment', id, at: 0 }), Buffer.alloc(1000), 'left');
  const { name: old } = await put('killed0001x1');
  // both are older than a minute then
  await new Promise((resolve) => setTimeout(resolve, 62_000));
  const { name: young } = await put('killed0002x1');
  await world.src.zfs('create', 'pool/b');
  await world.src.zfs('snapshot', 'pool/b@1');
  const { exitCode } = await execa(process.execPath, [program, 'send', '--channel', 'store', 'pool/b', 'dst'], {
    env: { ...world.src.env, NATS_URL: world.url },
    extendEnv: false,
  });
  expect(exitCode).toBe(0);
  const left = await stored(world);
  expect(left).not.toContain(old);
  expect(left).toEqual(expect.arrayContaining([living, young]));
  running.kill('SIGINT');
  await running;
});
