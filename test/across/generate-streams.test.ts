import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createZfs } from '../../lib/zfs/zfs.ts';
import { lab, MIB } from '../contract/zfs-under-test.ts';
import { carryAway, guidsBelow } from './carried.ts';

const z = lab(512 * MIB);
const zfs = createZfs({ host: 'here', env: z.env });

test('a tree with every kind of dataset is planned, and its streams are stored for another release', async () => {
  const root = `${z.source}/tree`;
  const key = join(tmpdir(), 'across-key');
  writeFileSync(key, '12345678\n');
  z.ok('create', root);
  z.ok('create', '-o', 'recordsize=1M', `${root}/large`);
  z.ok('create', '-o', 'compression=zstd', `${root}/zstd`);
  z.ok('create', '-o', 'compression=lz4', '-o', 'recordsize=4K', '-o', 'xattr=sa', `${root}/small`);
  z.ok('create', '-o', 'encryption=on', '-o', 'keyformat=passphrase', '-o', `keylocation=file://${key}`, `${root}/enc`);
  z.ok('create', `${root}/enc/kid`);
  z.ok('create', '-V', '4M', `${root}/vol`);
  z.ok('create', '-s', '-V', '8M', `${root}/sparse`);
  const mountable = ['', '/large', '/zstd', '/small', '/enc', '/enc/kid', '/clone'];
  for (const name of ['1', '2', '3']) {
    for (const each of mountable.slice(0, -1)) z.write(`${root}${each}`, 300_000);
    if (name === '3') z.write(`${root}/clone`, 100_000);
    z.ok('snapshot', '-r', `${root}@${name}`);
    if (name === '2') z.ok('clone', `${root}/large@2`, `${root}/clone`);
  }
  const digests = Object.fromEntries(
    Object.keys(guidsBelow(z, root))
      .filter((name) => mountable.includes(name.split('@', 1)[0] ?? ''))
      .map((name) => [name, z.digest(`${root}${name}`)]),
  );
  expect(Object.keys(digests)).toHaveLength(3 * 6 + 1);
  // both releases have the features that decide flags
  const features = (await zfs.poolFacts(z.source))?.features[z.source];
  expect(features).toEqual(expect.arrayContaining(['encryption', 'large_blocks', 'embedded_data', 'zstd_compress']));
  await carryAway(z, zfs, root, { features, digests, guids: guidsBelow(z, root) });
});
