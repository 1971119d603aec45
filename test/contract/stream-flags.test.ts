import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeToken } from '../../lib/zfs/resume-token.ts';
import { createZfs } from '../../lib/zfs/zfs.ts';
import { isReal, lab } from './zfs-under-test.ts';

const z = lab(384 * 1024 * 1024);
const folder = mkdtempSync(join(tmpdir(), 'zfs-flags-'));
const keyfile = `file://${folder}/key`;
const key = ['-o', 'encryption=on', '-o', 'keyformat=passphrase', '-o', `keylocation=${keyfile}`];
const enc = `${z.source}/enc`;
const big = `${z.source}/big`;
const zfs = createZfs({ host: 'here', env: z.env });
let count = 0;
const place = () => `${z.target}/to${count++}`;

beforeAll(() => {
  writeFileSync(join(folder, 'key'), '12345678\n');
  z.ok('create', ...key, enc);
  z.ok('create', `${enc}/kid`);
  z.ok('create', ...key, `${enc}/own`);
  for (const name of [enc, `${enc}/kid`]) z.write(name, 600_000);
  z.ok('snapshot', '-r', `${enc}@1`);
  z.ok('bookmark', `${enc}@1`, `${enc}#1`);
  z.ok('clone', `${enc}/kid@1`, `${enc}/clone`);
  z.ok('snapshot', `${enc}/clone@c`);
  for (const name of [enc, `${enc}/kid`]) z.write(name, 600_000);
  z.ok('snapshot', '-r', `${enc}@2`);
  z.write(enc, 1000);
  z.ok('snapshot', `${enc}@3`);
  z.ok('create', '-o', 'recordsize=1M', big);
  z.write(big, 3_000_000);
  z.ok('snapshot', `${big}@1`);
  z.write(big, 3_000_000);
  z.ok('snapshot', `${big}@2`);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Sends with these arguments, and receives under that name. */
const move = (send: string[], into: string, ...argv: string[]) =>
  z.feed(z.stream(...send), 'receive', '-s', '-u', ...argv, into);
const fine = { exit: 0, stdout: '', stderr: '' };
const roots = (name: string) => z.ok('list', '-H', '-r', '-o', 'name,keystatus,encryptionroot', name);
const mismatch =
  "cannot receive incremental stream: IV set guid mismatch. See the 'zfs receive' man page section\n" +
  ' discussing the limitations of raw encrypted send streams.\n';

describe('a raw tree', () => {
  let to = '';
  beforeAll(() => {
    to = place();
    for (const kid of ['', '/kid', '/own']) expect(move(['-w', `${enc}${kid}@1`], `${to}${kid}@1`)).toEqual(fine);
    const clone = move(['-w', '-i', `${enc}/kid@1`, `${enc}/clone@c`], `${to}/clone@c`, '-o', `origin=${to}/kid@1`);
    expect(clone).toEqual(fine);
  });

  test('edge case 10: has an encryption root in each dataset, and a clone has its origin’s (openzfs#15687)', () => {
    expect(roots(to)).toEqual([
      `${to}\tunavailable\t${to}`,
      `${to}/clone\tunavailable\t${to}/kid`,
      `${to}/kid\tunavailable\t${to}/kid`,
      `${to}/own\tunavailable\t${to}/own`,
    ]);
  });

  test('is as at the source after change-key -i, and raw increments still arrive', () => {
    for (const name of [to, `${to}/kid`]) z.ok('load-key', '-L', keyfile, name);
    const { exit, stderr } = z.zfs('change-key', '-i', `${to}/clone`);
    expect([exit, stderr]).toEqual([255, 'Key change error: Keys cannot be changed on clones.\n']);
    z.ok('change-key', '-i', `${to}/kid`);
    expect(roots(to).slice(0, 3)).toEqual([
      `${to}\tavailable\t${to}`,
      `${to}/clone\tavailable\t${to}`,
      `${to}/kid\tavailable\t${to}`,
    ]);
    expect(move(['-w', '-i', '@1', `${enc}/kid@2`], `${to}/kid@2`)).toEqual(fine);
    expect(roots(to)[2]).toBe(`${to}/kid\tavailable\t${to}`);
    expect(z.digest(`${to}/kid@2`)).toBe(z.digest(`${enc}/kid@2`));
  });
});

describe('raw and plain on one target (openzfs#12014)', () => {
  test('the IV set shows that a dataset was received raw, and a raw stream follows only such a dataset', async () => {
    const [raw, place1] = [place(), place()];
    expect(move(['-w', `${enc}@1`], `${raw}@1`)).toEqual(fine);
    z.ok('create', ...key, place1);
    expect(move([`${enc}@1`], `${place1}/plain@1`)).toEqual(fine);
    const ivset = async (name: string) => (await zfs.list({ dataset: name }))[0]?.snapshots[0]?.ivset;
    expect(await ivset(raw)).toMatch(/^\d+$/);
    expect(await ivset(raw)).toBe(await ivset(enc));
    expect(await ivset(`${place1}/plain`)).not.toBe(await ivset(enc));
    expect((await zfs.list({ dataset: enc }))[0]?.bookmarks[0]?.ivset).toBe(await ivset(enc));
    expect((await zfs.list({ dataset: big }))[0]?.snapshots[0]).not.toHaveProperty('ivset');
    expect(move(['-w', '-i', '@1', `${enc}@2`], `${place1}/plain@2`)).toEqual({
      exit: 1,
      stdout: '',
      stderr: mismatch,
    });
    expect(move(['-w', '-i', '#1', `${enc}@2`], `${raw}@2`)).toEqual(fine);
  });

  test('edge case 8: a plain stream onto a raw replica is received once its key is loaded, and no raw one after it', () => {
    const to = place();
    expect(move(['-w', `${enc}@1`], `${to}@1`)).toEqual(fine);
    z.ok('load-key', '-L', keyfile, to);
    expect(move(['-i', '@1', `${enc}@2`], `${to}@2`)).toEqual(fine);
    expect(move(['-w', '-i', '@2', `${enc}@3`], `${to}@3`).stderr).toBe(mismatch);
  });

  test('edge case 9: a local snapshot, even an empty one, blocks a raw stream and not a plain one (openzfs#15314)', () => {
    const [raw, plain] = [place(), place()];
    move(['-w', `${enc}@1`], `${raw}@1`);
    move([`${enc}@1`], `${plain}@1`);
    for (const to of [raw, plain]) z.ok('snapshot', `${to}@own`);
    expect(move(['-w', '-i', '@1', `${enc}@2`], `${raw}@2`).stderr).toBe(
      `cannot receive incremental stream: destination ${raw} has been modified\nsince most recent snapshot\n`,
    );
    expect(move(['-i', '@1', `${enc}@2`], `${plain}@2`)).toEqual(fine);
  });

  test('a raw stream is received below a dataset whose key is not loaded, and is an encryption root', () => {
    const to = place();
    z.ok('create', ...key, to);
    z.zfs('unmount', to);
    z.ok('unload-key', to);
    expect(move(['-w', `${enc}@1`], `${to}/raw@1`)).toEqual(fine);
    expect(roots(to)).toEqual([`${to}\tunavailable\t${to}`, `${to}/raw\tunavailable\t${to}/raw`]);
  });
});

describe('large blocks (openzfs#6224)', () => {
  test('edge case 19: after -L a chain continues only with -L', () => {
    const to = place();
    expect(move(['-L', `${big}@1`], `${to}@1`)).toEqual(fine);
    expect(move(['-i', '@1', `${big}@2`], `${to}@2`).stderr).toBe(
      'cannot receive incremental stream: incremental send stream requires -L (--large-block), to match previous receive.\n',
    );
    expect(move(['-L', '-e', '-c', '-i', '@1', `${big}@2`], `${to}@2`)).toEqual(fine);
    expect(z.digest(`${to}@2`)).toBe(z.digest(`${big}@2`));
  });

  test('-L has no effect if the sent dataset has no large blocks: blocks split in transit cannot return (openzfs#18101, #18908)', () => {
    const [from, to] = [`${z.source}/back`, place()];
    z.ok('create', '-o', 'recordsize=1M', from);
    z.write(from, 3_000_000);
    z.ok('snapshot', `${from}@1`);
    expect(move([`${from}@1`], to)).toEqual(fine);
    z.ok('snapshot', `${to}@2`);
    for (const flags of [[], ['-L']]) {
      expect(move([...flags, '-i', '@1', `${to}@2`], from).stderr).toMatch(
        /requires -L \(--large-block\), to match previous receive\.\n$|destination contains large blocks, but the\n/,
      );
    }
    expect(move([`${to}@2`], `${z.source}/back-2`)).toEqual(fine);
    expect(z.digest(`${z.source}/back-2@2`)).toBe(z.digest(`${from}@1`));
    if (!isReal) return;
    // and once it has some, they follow split blocks: refused, or received with damaged files (openzfs#6224)
    z.ok('set', 'recordsize=1M', to);
    z.write(to, 3_000_000);
    z.ok('snapshot', `${to}@3`);
    const { exit } = move(['-L', '-i', '@1', `${to}@3`], from);
    expect(exit !== 0 || z.digest(`${from}@3`) !== z.digest(`${to}@3`)).toBe(true);
  });

  test('a pool without the feature receives them only split', async () => {
    // 2.3 has a feature that enables large blocks again, so only the wanted ones are enabled
    const wanted = ['encryption', 'embedded_data', 'lz4_compress', 'zstd_compress'];
    const options = wanted.flatMap((name) => ['-o', `feature@${name}=enabled`]);
    const pool = z.pool('nolarge', 128 * 1024 * 1024, '-d', ...options);
    expect((await zfs.poolFacts(pool))?.features).toEqual({
      [pool]: expect.arrayContaining(wanted),
    });
    expect((await zfs.poolFacts(pool))?.features[pool]).not.toContain('large_blocks');
    expect((await zfs.poolFacts())?.features[z.target]).toContain('large_blocks');
    expect(move(['-L', `${big}@1`], `${pool}/a@1`).stderr).toBe(
      'cannot receive new filesystem stream: pool must be upgraded to receive this stream.\n',
    );
    expect(move([`${big}@1`], `${pool}/a@1`)).toEqual(fine);
  });
});

describe('embedded data (openzfs#10732, #8886)', () => {
  const refused =
    /^cannot receive (?:new filesystem|incremental) stream: (?:incompatible embedded data stream feature with encrypted receive|kernel modules must be upgraded to receive this stream)\.\n$/;
  const small = `${z.source}/small`;
  beforeAll(() => {
    z.ok('create', '-o', 'compression=lz4', small);
    if (isReal) writeFileSync(join(z.value('mountpoint', small), 'small'), 'a'.repeat(100));
    z.ok('snapshot', `${small}@1`);
    z.ok('snapshot', `${small}@2`);
  });

  test('is not received by an encrypted dataset, new or not, and without -e it is', () => {
    const to = place();
    z.ok('create', ...key, to);
    expect(move(['-e', `${small}@1`], `${to}/a`).stderr).toMatch(refused);
    expect(move([`${small}@1`], `${to}/a`)).toEqual(fine);
    expect(move(['-e', '-i', '@1', `${small}@2`], `${to}/a`).stderr).toMatch(refused);
    expect(move(['-i', '@1', `${small}@2`], `${to}/a`)).toEqual(fine);
  });

  test('is in no stream of an encrypted dataset, so -e has no effect there', () => {
    const to = place();
    z.ok('create', ...key, to);
    expect(move(['-e', `${enc}@1`], `${to}/a`)).toEqual(fine);
  });
});

describe('a token', () => {
  test.each([
    [[], { raw: false, largeBlock: false, compressed: false }],
    [['-c'], { raw: false, largeBlock: false, compressed: true }],
    [['-L'], { raw: false, largeBlock: true, compressed: false }],
    [['-L', '-e', '-c'], { raw: false, largeBlock: true, compressed: true }],
  ])('of a stream sent with %o has these flags, and so has its rest', async (flags, said) => {
    const to = place();
    z.feed(z.stream(...flags, `${big}@1`).subarray(0, 2_000_000), 'receive', '-s', '-u', `${to}@1`);
    const token = (await zfs.list({ dataset: to }))[0]?.resumeToken ?? '';
    expect(decodeToken(token).flags).toMatchObject(said);
    expect(move(['-t', token], `${to}@1`)).toEqual(fine);
    const next = move([...flags, '-i', '@1', `${big}@2`], `${to}@2`);
    expect(next).toEqual(fine);
    expect(z.digest(`${to}@2`)).toBe(z.digest(`${big}@2`));
  });

  test('of a raw stream is raw, needs no key, and the resumed stream is raw (openzfs#10234)', async () => {
    const to = place();
    const cut = (...argv: string[]) => z.stream('-w', ...argv).subarray(0, 300_000);
    z.feed(cut(`${enc}@1`), 'receive', '-s', '-u', '-o', 'zpsend:stream=5:raw', `${to}@1`);
    const state = async () => (await zfs.list({ dataset: to }))[0];
    const tokenNow = async () => (await state())?.resumeToken ?? '';
    const seed = await tokenNow();
    expect(decodeToken(seed).flags).toMatchObject({ raw: true, compressed: true });
    const left = { encryption: 'aes-256-gcm', keystatus: 'unavailable', encryptionRoot: to, stream: '5:raw' };
    expect(await state()).toMatchObject(left);
    expect(move(['-t', seed], `${to}@1`, '-o', 'zpsend:stream=5:raw')).toEqual(fine);
    expect(await state()).toMatchObject({ ...left, snapshots: [{ name: '1' }] });
    z.feed(cut('-i', '@1', `${enc}@2`), 'receive', '-s', '-u', `${to}@2`);
    const rest = await tokenNow();
    expect(move(['-t', rest], `${to}@2`)).toEqual(fine);
    expect(move(['-w', '-i', '@2', `${enc}@3`], `${to}@3`)).toEqual(fine);
  });
});

test('the initial flags of a chain are kept, and children inherit them', async () => {
  const to = place();
  expect(move([`${big}@1`], `${to}@1`, '-o', 'zpsend:stream=77:large-block,embed')).toEqual(fine);
  z.ok('create', `${to}/kid`);
  expect((await zfs.list({ dataset: to, recursive: true })).map(({ stream }) => stream)).toEqual([
    '77:large-block,embed',
    '77:large-block,embed',
  ]);
  z.ok('set', 'zpsend:stream=something else', `${to}/kid`);
  expect((await zfs.list({ dataset: `${to}/kid` }))[0]).not.toHaveProperty('stream');
});

describe('properties (-p)', () => {
  const from = () => `${z.source}/props`;
  beforeAll(() => {
    z.ok('create', '-o', 'compression=lz4', '-o', 'mountpoint=/mnt/elsewhere', '-o', 'user:x=y', from());
    z.write(from(), 600_000);
    z.ok('snapshot', `${from()}@1`);
    z.ok('snapshot', `${from()}@2`);
    z.ok('clone', `${from()}@1`, `${from()}-clone`);
    z.ok('snapshot', `${from()}-clone@c`);
  });
  const shown = (name: string) => ['compression', 'user:x'].map((property) => z.value(property, name));

  test('are in each stream, for the named snapshot only; excluded ones are not', () => {
    const to = place();
    const shield = ['-x', 'mountpoint', '-x', 'canmount', '-x', 'sharenfs', '-x', 'sharesmb'];
    expect(move(['-p', `${from()}@1`], `${to}@1`, ...shield, '-o', 'readonly=on')).toEqual(fine);
    expect([shown(to), z.value('mountpoint', to), z.value('readonly', to)]).toEqual([['lz4', 'y'], `/${to}`, 'on']);
    // those of now, not of the snapshot
    z.ok('set', 'compression=off', from());
    expect(move(['-p', '-i', '@1', `${from()}@2`], `${to}@2`, ...shield)).toEqual(fine);
    z.ok('set', 'compression=lz4', from());
    expect([shown(to), z.value('mountpoint', to)]).toEqual([['off', 'y'], `/${to}`]);
  });

  test('are present already in an interrupted stream, and its rest needs none', async () => {
    const to = place();
    const cut = z.stream('-p', `${from()}@1`).subarray(0, 300_000);
    z.feed(cut, 'receive', '-s', '-u', '-x', 'mountpoint', `${to}@1`);
    const token = (await zfs.list({ dataset: to }))[0]?.resumeToken ?? '';
    expect(shown(to)).toEqual(['lz4', 'y']);
    expect(move(['-t', token], `${to}@1`, '-x', 'mountpoint')).toEqual(fine);
    expect(shown(to)).toEqual(['lz4', 'y']);
  });

  test('make a receive use any snapshot with the guid as the origin, and ignore the given one', () => {
    const [one, two] = [place(), place()];
    for (const to of [one, two]) expect(move([`${from()}@1`], `${to}@1`)).toEqual(fine);
    const clone = place();
    const given = ['-x', 'mountpoint', '-o', `origin=${one}@1`];
    expect(move(['-p', '-i', `${from()}@1`, `${from()}-clone@c`], `${clone}@c`, ...given)).toEqual(fine);
    expect([z.value('guid', z.value('origin', clone))]).toEqual([z.value('guid', `${from()}@1`)]);
  });
});
