import { beforeAll, expect, test } from 'vitest';
import { lab, MIB } from './zfs-under-test.ts';

const z = lab();
const fs = `${z.source}/a`;

beforeAll(() => {
  z.ok('create', fs);
  z.write(fs, 16 * MIB);
  z.ok('snapshot', `${fs}@1`);
});

test('a snapshot that is being sent cannot be destroyed', async () => {
  const sending = z.sendSlowly(`${fs}@1`);
  await sending.started;
  const { exit, stderr } = z.zfs('destroy', `${fs}@1`);
  expect([exit, stderr]).toEqual([1, `cannot destroy snapshot ${fs}@1: dataset is busy\n`]);
  await sending.drop();
  await expect.poll(() => z.zfs('destroy', `${fs}@1`).exit, { timeout: 30_000 }).toBe(0);
});
