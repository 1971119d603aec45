import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createZfs, type Zfs } from '../../lib/zfs/zfs.ts';
import { lab, MIB } from './zfs-under-test.ts';

const z = lab();
const folder = mkdtempSync(join(tmpdir(), 'zfs-placeholder-'));
let zfs: Zfs;
beforeAll(() => {
  zfs = createZfs({ host: 'smos-00', env: z.env });
});
afterAll(() => rmSync(folder, { recursive: true }));

test('a placeholder is created once, empty and never mounted, and datasets are received below it', async () => {
  const [top, mid] = [`${z.target}/top`, `${z.target}/top/my mid`];
  z.ok('create', `${z.source}/a`);
  z.ok('snapshot', `${z.source}/a@1`);
  const receive = () => {
    const receiving = zfs.receive({ dataset: `${mid}/a`, snapshot: '1', set: {}, exclude: [] });
    receiving.stdin.end(z.stream(`${z.source}/a@1`));
    return receiving.done;
  };
  await expect(receive()).rejects.toMatchObject({ code: 'NO_SUCH_DATASET' });
  await expect(zfs.createPlaceholder(mid)).rejects.toMatchObject({ code: 'NO_SUCH_DATASET' });
  await expect(zfs.createPlaceholder('nopool/a')).rejects.toMatchObject({ code: 'NO_SUCH_DATASET' });

  // four receives that need the same parent
  const made = await Promise.all([1, 2, 3, 4].map(() => zfs.createPlaceholder(top)));
  expect(made.filter((one) => one)).toHaveLength(1);
  expect(await zfs.createPlaceholder(mid)).toBe(true);
  expect(await zfs.createPlaceholder(mid)).toBe(false);
  for (const name of [top, mid]) {
    expect(z.ok('list', '-H', '-o', 'type,canmount,mounted,encryption,origin', name)).toEqual([
      'filesystem\toff\tno\toff\t-',
    ]);
    expect(z.ok('get', '-H', '-o', 'value,source', 'zpsend:placeholder', name)).toEqual(['on\tlocal']);
  }
  expect(z.zfs('mount', mid)).toEqual({
    exit: 1,
    stdout: '',
    stderr: `cannot mount '${mid}': 'canmount' property is set to 'off'\n`,
  });
  await receive();
  // descendants inherit the mark: only a local one shows a placeholder
  expect(z.ok('get', '-H', '-o', 'source', 'zpsend:placeholder', `${mid}/a`)).toEqual([`inherited from ${mid}`]);
  expect(z.value('canmount', `${mid}/a`)).toBe('on');
  expect((await zfs.inspect([top, mid, `${mid}/a@1`])).map(({ name, type }) => [name, type])).toEqual([
    [top, 'filesystem'],
    [mid, 'filesystem'],
    [`${mid}/a@1`, 'snapshot'],
  ]);
});

test('edge case 11: a placeholder is encrypted exactly if its parent is, and needs the key of its parent', async () => {
  const secret = `${z.target}/secret`;
  writeFileSync(join(folder, 'key'), '12345678\n');
  z.ok(
    'create',
    ...['-o', 'encryption=on', '-o', 'keyformat=passphrase', '-o', `keylocation=file://${folder}/key`],
    secret,
  );
  expect(await zfs.createPlaceholder(`${secret}/p`)).toBe(true);
  const shown = 'encryption,keystatus,encryptionroot,mounted';
  expect(z.ok('list', '-H', '-o', shown, `${secret}/p`)).toEqual([`aes-256-gcm\tavailable\t${secret}\tno`]);
  z.ok('create', `${z.source}/plain`);
  z.ok('snapshot', `${z.source}/plain@1`);
  expect(z.feed(z.stream(`${z.source}/plain@1`), 'receive', '-u', `${secret}/p/plain`).exit).toBe(0);
  expect(z.value('encryptionroot', `${secret}/p/plain`)).toBe(secret);

  expect((await zfs.inspect([secret, `${secret}/p`])).map(({ keystatus }) => keystatus)).toEqual([
    'available',
    'available',
  ]);
  z.ok('unmount', secret);
  z.ok('unload-key', secret);
  expect((await zfs.inspect([z.target, secret, `${secret}/p`])).map(({ keystatus }) => keystatus)).toEqual([
    undefined,
    'unavailable',
    'unavailable',
  ]);
  await expect(zfs.createPlaceholder(`${secret}/q`)).rejects.toMatchObject({ code: 'KEY_REQUIRED' });
  await expect(zfs.createPlaceholder(`${secret}/p/q`)).rejects.toMatchObject({ code: 'KEY_REQUIRED' });
});

test('a placeholder cannot be created below a volume', async () => {
  z.ok('create', '-s', '-V', '8M', `${z.target}/vol`);
  const [volume] = await zfs.inspect([`${z.target}/vol`, `${z.target}/vol/a`]);
  expect(volume).toMatchObject({ name: `${z.target}/vol`, type: 'volume' });
  await expect(zfs.createPlaceholder(`${z.target}/vol/a`)).rejects.toMatchObject({ code: 'UNSUPPORTED' });
});

test('a listing distinguishes a placeholder from datasets that were created or received below it', async () => {
  const top = `${z.target}/listed`;
  await zfs.createPlaceholder(top);
  z.ok('create', `${top}/by hand`);
  z.ok('create', `${z.source}/listed`);
  z.ok('snapshot', `${z.source}/listed@1`);
  z.feed(z.stream(`${z.source}/listed@1`), 'receive', '-u', `${top}/received`);
  const listed = await zfs.list({ dataset: top, recursive: true });
  expect(listed.map(({ name, placeholder }) => [name, placeholder])).toEqual([
    [top, true],
    [`${top}/by hand`, undefined],
    [`${top}/received`, undefined],
  ]);
});

test('a listing has the space that is left, within the quotas above', async () => {
  const top = `${z.target}/quota`;
  z.ok('create', '-o', `quota=${8 * MIB}`, top);
  z.ok('create', `${top}/below`);
  const available = new Map(
    (await zfs.list({ dataset: z.target, recursive: true })).map((entry) => [entry.name, entry.available]),
  );
  expect(available.get(z.target)).toBeGreaterThan(64 * MIB);
  for (const name of [top, `${top}/below`]) {
    expect(available.get(name)).toBeGreaterThan(6 * MIB);
    expect(available.get(name)).toBeLessThanOrEqual(8 * MIB);
  }
});

test('edge case 35: a dataset is received deeper than one can be created, or renamed to', () => {
  // to mount each of them would take minutes
  z.ok('create', '-o', 'mountpoint=none', `${z.target}/d`);
  const deepest = [z.target, ...Array.from({ length: 49 }, () => 'd')].join('/');
  z.ok('create', '-p', deepest);
  expect(z.zfs('create', `${deepest}/e`)).toMatchObject({
    exit: 1,
    stderr: `cannot create '${deepest}/e': maximum name nesting depth exceeded\n`,
  });
  z.ok('create', `${z.target}/shallow`);
  expect(z.zfs('rename', `${z.target}/shallow`, `${deepest}/e`)).toMatchObject({
    exit: 1,
    stderr: `cannot rename '${z.target}/shallow': dataset name is too long\n`,
  });
  z.ok('create', `${z.source}/deep`);
  z.ok('snapshot', `${z.source}/deep@1`);
  for (const name of [`${deepest}/e`, `${deepest}/e/f`]) {
    expect(z.feed(z.stream(`${z.source}/deep@1`), 'receive', '-s', '-u', name)).toMatchObject({ exit: 0 });
  }
  // a dataset at that depth may be renamed there
  expect(z.zfs('rename', `${deepest}/e/f`, `${deepest}/e/g`)).toMatchObject({ exit: 0 });
  // nor is anything made deeper that moves along
  const [from, to] = [`${z.target}/moved`, `${deepest.slice(0, -'/d'.length)}/moved`];
  z.ok('create', '-p', `${from}/x`);
  expect(z.zfs('rename', from, to)).toEqual({
    exit: 1,
    stdout: '',
    stderr: `cannot rename '${from}': dataset name is too long\n`,
  });
});
