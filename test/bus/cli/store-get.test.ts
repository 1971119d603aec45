import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { fetchOutputSchema } from '../../../schemas/output.ts';
import { codesOf, mentions } from '../../support/mentions.ts';
import { program, simBin } from '../../support/program.ts';
import { list, send, snapshot, startReceiver, useWorld, whole } from '../../support/store-world.ts';

test('zpsend store ls lists the stored streams, and store get writes one that zfs receives, compressed or not', async () => {
  const world = await useWorld();
  const { fleet, src, dst } = world;
  const sender = await fleet.start('sender', src, { ZFS_SIM_ZEROS: '0.5' });
  await snapshot(src, 20_000_000, '1', '2');
  expect(await send(world, { dataset: 'pool/a@1' })).toMatchObject({ done: 1 });
  expect(await send(world, { compression: 'zstd' })).toMatchObject({ done: 1 });
  const run = (...argv: string[]) =>
    execa(process.execPath, [program, ...argv], {
      env: { ...src.env, NATS_URL: world.url },
      extendEnv: false,
      encoding: 'buffer',
      reject: false,
    });
  const listed = await run('store', 'ls', 'src', '--json');
  const { streams } = fetchOutputSchema.parse(JSON.parse(Buffer.from(listed.stdout).toString()));
  expect(streams.map((one) => [one.snapshot, one.isFull])).toEqual([
    ['pool/a@1', true],
    ['pool/a@2', false],
  ]);
  for (const { id } of streams) {
    const file = join(src.env.HOME ?? '', id);
    expect((await run('store', 'get', 'src', id, '-o', file)).exitCode).toBe(0);
    expect(Buffer.compare((await run('store', 'get', 'src', id)).stdout, await readFile(file))).toBe(0);
    await execa(join(simBin, 'zfs'), ['receive', '-u', 'pool/a'], { env: dst.env, extendEnv: false, inputFile: file });
    // an existing file is not overwritten
    const again = await run('store', 'get', 'src', id, '-o', file);
    expect([again.exitCode, codesOf(Buffer.from(again.stderr).toString())]).toEqual([2, ['BAD_REQUEST']]);
  }
  expect(await list(dst)).toBe(await list(src));
  expect((await run('store', 'get', 'src', 'nosuch0000')).exitCode).toBe(1);
  const left = await execa(
    'bash',
    ['-o', 'pipefail', '-c', '"$@" | head -c 1', '', process.execPath, program].concat(
      'store',
      'get',
      'src',
      streams[0]?.id ?? '',
    ),
    {
      env: { ...src.env, NATS_URL: world.url },
      reject: false,
    },
  );
  expect([left.exitCode, codesOf(left.stderr)]).toEqual([1, ['STREAM_BROKEN']]);
  expect(Buffer.from((await run('store', 'ls', 'nosuch')).stderr).toString()).toEqual(mentions('nosuch'));
  expect((await run('store', 'ls', 'no such host')).exitCode).toBe(2);
  const [first] = streams;
  const plain = await run('store', 'get', 'src', first?.id ?? '');
  const dashed = await run('store', 'get', 'src', first?.id ?? '', '-o', '-');
  expect(Buffer.compare(dashed.stdout, plain.stdout)).toBe(0);
  expect((await run('store', 'get', 'src', first?.id ?? '', '-o', '/dev/null')).exitCode).toBe(0);
  const plan = await run('plan', '--channel', 'auto', 'pool/a', 'dst');
  expect(Buffer.from(plan.stdout).toString()).toEqual(mentions('dst', 'pool/a'));
  // a received stream stays in the list until a sender deletes it
  await sender.end('SIGKILL');
  await startReceiver(world);
  const words = async () => Buffer.from((await run('store', 'ls', 'src')).stdout).toString();
  await expect
    .poll(words, { timeout: 30_000 })
    .toMatch(/dst:pool\/a \(delivered\) +-\n.*dst:pool\/a \(delivered\) +-$/);
});

test.each<'SIGINT' | 'SIGTERM'>(['SIGINT', 'SIGTERM'])('a fetch that %s ends leaves no file', async (signal) => {
  const world = await useWorld();
  await world.fleet.start('sender', world.src);
  await snapshot(world.src, 300_000_000, '1');
  expect(await send(world, { channel: 'store' })).toMatchObject({ done: 1 });
  const [stream] = await whole(world);
  const folder = join(world.src.env.HOME ?? '', 'fetched');
  await mkdir(folder);
  const fetching = execa(
    process.execPath,
    [program, 'store', 'get', 'src', stream?.id ?? '', '-o', join(folder, 'a')],
    {
      env: { ...world.src.env, NATS_URL: world.url },
      extendEnv: false,
      reject: false,
    },
  );
  await expect.poll(() => readdir(folder), { interval: 5 }).toEqual([expect.stringMatching(/^a\.\d+\.part$/)]);
  fetching.kill(signal);
  expect((await fetching).exitCode).toBe(130);
  expect(await readdir(folder)).toEqual([]);
});
