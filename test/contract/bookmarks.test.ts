import { beforeEach, describe, expect, test } from 'vitest';
import { createZfs } from '../../lib/zfs/zfs.ts';
import { rejection } from '../support/bus.ts';
import { lab, MIB } from './zfs-under-test.ts';

const z = lab();
const zfs = () => createZfs({ host: 'here', env: z.env });
let fs = '';
let count = 0;

beforeEach(() => {
  fs = `${z.source}/c${count++}`;
  z.ok('create', fs);
  for (const name of ['1', '2']) {
    z.write(fs, 100_000);
    z.ok('snapshot', `${fs}@${name}`);
  }
});

const marks = (dataset: string): string[] =>
  z.ok('list', '-H', '-t', 'bookmark', '-o', 'name', dataset).map((name) => name.slice(dataset.length));

describe('a cursor bookmark', () => {
  test('is created once, has the guid of its snapshot, and is removed once; a repetition is no error', async () => {
    const cursor = `${fs}#zpsend_smos-00_0123abcd_1`;
    await zfs().bookmark(`${fs}@1`, cursor);
    await zfs().bookmark(`${fs}@1`, cursor);
    expect(z.ok('list', '-H', '-t', 'bookmark', '-o', 'name,guid', fs)).toEqual([
      `${cursor}\t${z.value('guid', `${fs}@1`)}`,
    ]);
    await zfs().destroyBookmark(cursor);
    await zfs().destroyBookmark(cursor);
    expect(marks(fs)).toEqual([]);
    expect(z.ok('list', '-H', '-d', '1', '-t', 'snapshot', '-o', 'name', fs)).toHaveLength(2);
  });

  test('of another bookmark has the same snapshot, and outlives the other one', async () => {
    z.ok('bookmark', `${fs}@1`, `${fs}#weekly`);
    const guid = z.value('guid', `${fs}@1`);
    z.ok('destroy', `${fs}@1`);
    const cursor = `${fs}#zpsend_smos-00_0123abcd_1`;
    for (let time = 0; time < 2; time++) await zfs().bookmark(`${fs}#weekly`, cursor);
    z.ok('destroy', `${fs}#weekly`);
    expect(z.ok('list', '-H', '-t', 'bookmark', '-o', 'name,guid', fs)).toEqual([`${cursor}\t${guid}`]);
  });

  test('of a missing snapshot cannot be created', async () => {
    expect(await rejection(zfs().bookmark(`${fs}@none`, `${fs}#zpsend_x`))).toMatchObject({ code: 'NO_SUCH_SNAPSHOT' });
    expect(await rejection(zfs().bookmark(`${fs}/none@1`, `${fs}/none#zpsend_x`))).toMatchObject({
      code: 'NO_SUCH_SNAPSHOT',
    });
    await zfs().destroyBookmark(`${fs}/none#zpsend_x`);
  });

  test('is of 255 characters at most, with its dataset', () => {
    const room = 255 - fs.length - 1;
    z.ok('bookmark', `${fs}@1`, `${fs}#${'x'.repeat(room)}`);
    expect(z.zfs('bookmark', `${fs}@1`, `${fs}#${'x'.repeat(room + 1)}`)).toMatchObject({
      exit: 1,
      stderr: expect.stringMatching(/': invalid argument\n$/),
    });
  });

  test('is renamed with its dataset, and is a base after every snapshot is gone', () => {
    z.ok('bookmark', `${fs}@2`, `${fs}#zpsend_smos-00_0123abcd_2`);
    const copy = `${z.target}/r${count}`;
    z.feed(z.stream(`${fs}@2`), 'receive', '-s', '-u', copy);
    z.ok('rename', fs, `${fs}-moved`);
    z.ok('destroy', `${fs}-moved@1,2`);
    z.write(`${fs}-moved`, 50_000);
    z.ok('snapshot', `${fs}-moved@3`);
    expect(marks(`${fs}-moved`)).toEqual(['#zpsend_smos-00_0123abcd_2']);
    const rest = z.stream('-i', `${fs}-moved#zpsend_smos-00_0123abcd_2`, `${fs}-moved@3`);
    expect(z.feed(rest, 'receive', '-s', '-u', `${copy}@3`)).toMatchObject({ exit: 0 });
    expect(z.digest(`${copy}@3`)).toBe(z.digest(`${fs}-moved@3`));
  });

  test('is refused by a pool without the feature, and other commands succeed there', async () => {
    const old = z.pool('old', 96 * MIB, '-d');
    z.ok('create', `${old}/a`);
    z.ok('snapshot', `${old}/a@1`);
    const refused = await rejection(zfs().bookmark(`${old}/a@1`, `${old}/a#zpsend_x`));
    expect(refused).toMatchObject({ code: 'UNSUPPORTED', message: expect.stringContaining('feature not enabled') });
    await zfs().hold('zpsend:base', [`${old}/a@1`]);
    expect(await zfs().list({ dataset: `${old}/a` })).toMatchObject([{ bookmarks: [], snapshots: [{ userrefs: 1 }] }]);
  });
});

describe('a hold on the newest snapshot', () => {
  test('admits the next incremental, and protects the snapshot from being destroyed', async () => {
    const copy = `${z.target}/h${count}`;
    z.feed(z.stream(`${fs}@1`), 'receive', '-s', '-u', copy);
    await zfs().hold('zpsend:base', [`${copy}@1`]);
    const more = z.stream('-i', `${fs}@1`, `${fs}@2`);
    expect(z.feed(more, 'receive', '-s', '-u', `${copy}@2`)).toMatchObject({ exit: 0 });
    expect(z.zfs('destroy', `${copy}@1`)).toMatchObject({ exit: 1, stderr: expect.stringMatching(/held|busy/) });
    expect(z.zfs('destroy', '-r', copy)).toMatchObject({ exit: 1, stderr: expect.stringMatching(/held|busy/) });
    expect(await zfs().holds([`${copy}@1`, `${copy}@2`])).toEqual([{ snapshot: `${copy}@1`, tag: 'zpsend:base' }]);
    expect(await zfs().release('zpsend:base', [`${copy}@1`])).toEqual({ missing: false });
    expect(await zfs().release('zpsend:base', [`${copy}@1`])).toEqual({ missing: false });
    expect(await zfs().release('zpsend:base', [`${copy}@none`])).toEqual({ missing: true });
  });
});

test('properties are read for the datasets that exist', async () => {
  const read = await zfs().properties([fs, `${fs}/none`], ['setuid', 'devices']);
  expect([...read]).toEqual([[fs, { setuid: 'on', devices: 'on' }]]);
  z.ok('set', 'setuid=off', fs);
  expect((await zfs().properties([fs], ['setuid'])).get(fs)).toEqual({ setuid: 'off' });
});
