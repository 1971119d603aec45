import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createZfs, type Zfs } from '../../lib/zfs/zfs.ts';
import { lab } from './zfs-under-test.ts';

const z = lab();
const folder = mkdtempSync(join(tmpdir(), 'zfs-placeholder-'));
let zfs: Zfs;
beforeAll(() => {
  zfs = createZfs({ host: 'smos-00', env: z.env });
});
afterAll(() => rmSync(folder, { recursive: true }));

test('a placeholder is made once, empty and never mounted, and others are received below it', async () => {
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
  // what lies below inherits the mark: only a local one tells a placeholder
  expect(z.ok('get', '-H', '-o', 'source', 'zpsend:placeholder', `${mid}/a`)).toEqual([`inherited from ${mid}`]);
  expect(z.value('canmount', `${mid}/a`)).toBe('on');
  expect((await zfs.look([top, mid, `${mid}/a@1`])).map(({ name, type }) => [name, type])).toEqual([
    [top, 'filesystem'],
    [mid, 'filesystem'],
    [`${mid}/a@1`, 'snapshot'],
  ]);
});

test('edge case 11: a placeholder is encrypted exactly when its parent is, and needs that one’s key', async () => {
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

  expect((await zfs.look([secret, `${secret}/p`])).map(({ keystatus }) => keystatus)).toEqual([
    'available',
    'available',
  ]);
  z.ok('unmount', secret);
  z.ok('unload-key', secret);
  expect((await zfs.look([z.target, secret, `${secret}/p`])).map(({ keystatus }) => keystatus)).toEqual([
    undefined,
    'unavailable',
    'unavailable',
  ]);
  await expect(zfs.createPlaceholder(`${secret}/q`)).rejects.toMatchObject({ code: 'KEY_REQUIRED' });
  await expect(zfs.createPlaceholder(`${secret}/p/q`)).rejects.toMatchObject({ code: 'KEY_REQUIRED' });
});

test('below a volume nothing is made', async () => {
  z.ok('create', '-s', '-V', '8M', `${z.target}/vol`);
  const [volume] = await zfs.look([`${z.target}/vol`, `${z.target}/vol/a`]);
  expect(volume).toMatchObject({ name: `${z.target}/vol`, type: 'volume' });
  await expect(zfs.createPlaceholder(`${z.target}/vol/a`)).rejects.toMatchObject({ code: 'UNSUPPORTED' });
});
