import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { startNatsServer } from '../../tools/nats-server/start.ts';

/** The variables that the zfs suite sets: without them the tests could pass on the simulator, or on another release. */
const suite = z.object({ ZPSEND_REAL_ZFS: z.literal('1'), ZPSEND_SCRATCH: z.string(), ZPSEND_ZFS_RELEASE: z.string() });
const { ZPSEND_SCRATCH: scratch, ZPSEND_ZFS_RELEASE: release } = suite.parse(process.env);
const pool = 'machinetest';

beforeAll(async () => {
  await execa('truncate', ['-s', '128M', `${scratch}/${pool}.img`]);
  await execa('zpool', ['create', pool, `${scratch}/${pool}.img`]);
});
afterAll(() => execa('zpool', ['destroy', pool]));

test('tools and kernel module are of the release that was asked for', async () => {
  const { stdout } = await execa('zfs', ['version']);
  const line = release.split('.').slice(0, 2).join('.');
  expect(stdout.split('\n')).toEqual([
    expect.stringMatching(`^zfs-${line}\\.`),
    expect.stringMatching(`^zfs-kmod-${line}\\.`),
  ]);
});

test('a file system of a pool made of a file is mounted, snapshot and sent', async () => {
  await execa('zfs', ['create', `${pool}/a`]);
  await execa('cp', ['/bin/bash', `/${pool}/a/file`]);
  await execa('zfs', ['snapshot', `${pool}/a@1`]);
  await execa('sh', ['-c', `zfs send ${pool}/a@1 | zfs receive ${pool}/b`]);
  await execa('cmp', ['/bin/bash', `/${pool}/b/file`]);
});

test('a nats-server runs without a network', async () => {
  await using server = await startNatsServer({ jetstream: true });
  expect(server.port).toBeGreaterThan(0);
});
