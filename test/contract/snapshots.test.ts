import { beforeEach, describe, expect, test } from 'vitest';
import { lab, MIB } from './zfs-under-test.ts';

const z = lab();
let fs = '';
let count = 0;

beforeEach(() => {
  fs = `${z.source}/fs${count++}`;
  z.ok('create', fs);
  z.write(fs, 300_000);
  z.ok('snapshot', `${fs}@1`);
  z.write(fs, 300_000);
  z.ok('snapshot', `${fs}@2`);
});

const snapshotsOf = (dataset: string): string[] =>
  z.ok('list', '-H', '-o', 'name', '-t', 'snapshot', dataset).map((name) => name.slice(dataset.length));

describe('create and snapshot', () => {
  test('guids differ, and createtxg grows', () => {
    expect(z.value('guid', `${fs}@1`)).not.toBe(z.value('guid', `${fs}@2`));
    expect(Number(z.value('createtxg', `${fs}@2`))).toBeGreaterThan(Number(z.value('createtxg', `${fs}@1`)));
  });

  test('an existing dataset is not created again', () => {
    expect(z.zfs('create', fs)).toEqual({
      exit: 1,
      stdout: '',
      stderr: `cannot create '${fs}': dataset already exists\n`,
    });
    const again = z.zfs('snapshot', `${fs}@1`);
    expect(again).toEqual({
      exit: 1,
      stdout: '',
      stderr: `cannot create snapshot '${fs}@1': dataset already exists\n`,
    });
  });

  test('a parent must exist, or -p creates it', () => {
    const deep = `${fs}/x/y`;
    expect(z.zfs('create', deep).stderr).toBe(`cannot create '${deep}': parent does not exist\n`);
    z.ok('create', '-p', '-o', 'readonly=on', deep);
    expect(z.value('readonly', deep)).toBe('on');
    expect(z.value('readonly', `${fs}/x`)).toBe('off');
  });

  test.each([
    ['a;b', /invalid character ';' in name/],
    ['a\nb', /invalid character '\n' in name/],
    ['$(x)', /invalid character '\$' in name/],
    ['a/', /trailing slash in name/],
    ['x'.repeat(300), /name is too long/],
  ])('a dataset cannot be called %j', (name, said) => {
    const { exit, stderr } = z.zfs('create', `${fs}/${name}`);
    expect(stderr).toMatch(said);
    expect(exit).toBe(1);
  });

  test('a name that begins with a dash is no dataset', () => {
    expect(z.zfs('create', '--', '-x')).toMatchObject({
      exit: 1,
      stderr: "cannot create '-x': missing dataset name\n",
    });
    expect(z.zfs('create', 'nopool/x').stderr).toBe("cannot create 'nopool/x': no such pool 'nopool'\n");
  });

  test('a snapshot of nothing is wrong usage', () => {
    expect(z.zfs('snapshot', `${fs}/none@1`).stderr).toMatch(/^cannot open '\S+': dataset does not exist\nusage:/);
    expect(z.zfs('snapshot', `${fs}/none@1`).exit).toBe(2);
    expect(z.zfs('snapshot', fs).exit).toBe(2);
    expect(z.zfs('snapshot', `${fs}@a;b`).stderr).toMatch(/invalid character ';' in name/);
  });

  test('several datasets at once, with one createtxg, but only one snapshot of each', () => {
    z.ok('create', `${fs}/kid`);
    z.ok('snapshot', `${fs}@both`, `${fs}/kid@both`);
    expect(z.value('createtxg', `${fs}@both`)).toBe(z.value('createtxg', `${fs}/kid@both`));
    const twice = z.zfs('snapshot', `${fs}@x`, `${fs}@y`);
    expect(twice.stderr).toMatch(/multiple snapshots of same fs not allowed\nno snapshots were created/);
    expect(twice.exit).toBe(1);
  });

  test('spaces and colons are legal in names', () => {
    const odd = `${fs}/a b:c`;
    z.ok('create', odd);
    z.ok('snapshot', `${odd}@d e:f`);
    expect(snapshotsOf(odd)).toEqual(['@d e:f']);
  });
});

describe('hold, holds and release', () => {
  test('a hold is listed, counted, and released', () => {
    z.ok('hold', 'zpsend:1', `${fs}@1`, `${fs}@2`);
    expect(z.value('userrefs', `${fs}@1`)).toBe('1');
    expect(z.ok('holds', '-H', `${fs}@1`)[0]).toMatch(/@1\tzpsend:1\t\w{3} \w{3} +\d+ \d\d:\d\d \d{4}$/);
    expect(z.ok('holds', `${fs}@1`)[0]).toMatch(/^NAME +TAG +TIMESTAMP *$/);
    z.ok('release', 'zpsend:1', `${fs}@1`, `${fs}@2`);
    expect(z.value('userrefs', `${fs}@1`)).toBe('0');
    expect(z.ok('holds', '-H', `${fs}@1`)).toEqual([]);
  });

  test('a tag is there once', () => {
    z.ok('hold', 'tag', `${fs}@1`);
    const again = z.zfs('hold', 'tag', `${fs}@1`);
    const said = `cannot hold snapshot '${fs}@1': tag already exists on this dataset\n`;
    expect(again).toEqual({ exit: 1, stdout: '', stderr: said });
    expect(z.zfs('hold', 'tag', `${fs}@1`, `${fs}@2`).stderr).toBe(said);
    expect(z.value('userrefs', `${fs}@2`)).toBe('1');
    z.ok('release', 'tag', `${fs}@1`, `${fs}@2`);
    const gone = z.zfs('release', 'tag', `${fs}@1`);
    expect(gone).toMatchObject({
      exit: 1,
      stderr: `cannot release hold from snapshot '${fs}@1': no such tag on this dataset\n`,
    });
  });

  test('an unknown snapshot is reported, the known one is held', () => {
    const { exit, stderr } = z.zfs('hold', 'tag', `${fs}@1`, `${fs}@none`);
    expect([exit, stderr]).toEqual([1, `cannot hold snapshot '${fs}@none': dataset does not exist\n`]);
    expect(z.value('userrefs', `${fs}@1`)).toBe('1');
    z.ok('release', 'tag', `${fs}@1`);
    expect(z.zfs('hold', 'tag', fs).stderr).toMatch(/is not a snapshot/);
    expect(z.zfs('hold', 'tag', `${fs}/none@1`).stderr).toBe(`cannot open '${fs}/none': dataset does not exist\n`);
    expect(z.zfs('holds', '-H', `${fs}@none`).exit).toBe(1);
  });

  test('-r holds the same snapshot of all descendants', () => {
    z.ok('create', `${fs}/kid`);
    z.ok('snapshot', '-r', `${fs}@r`);
    z.ok('hold', '-r', 'tag', `${fs}@r`);
    expect(z.ok('holds', '-rH', `${fs}@r`).map((line) => line.split('\t')[0])).toEqual([`${fs}@r`, `${fs}/kid@r`]);
    z.ok('release', '-r', 'tag', `${fs}@r`);
  });

  test('a held snapshot cannot be destroyed, nor any other in the list', () => {
    z.ok('hold', 'tag', `${fs}@1`);
    const { exit, stderr } = z.zfs('destroy', `${fs}@1,2`);
    // 2.1 prints "dataset is busy"
    expect(stderr).toMatch(/^cannot destroy snapshot \S+@1: (it's being held|dataset is busy)/);
    expect(exit).toBe(1);
    expect(snapshotsOf(fs)).toEqual(['@1', '@2']);
    z.ok('destroy', '-d', `${fs}@1`);
    expect(snapshotsOf(fs)).toEqual(['@1', '@2']);
    z.ok('release', 'tag', `${fs}@1`);
    expect(snapshotsOf(fs)).toEqual(['@2']);
  });
});

describe('destroy', () => {
  test('lists and ranges of snapshots, with a dry run first', () => {
    z.ok('snapshot', `${fs}@3`);
    z.ok('snapshot', `${fs}@4`);
    expect(z.ok('destroy', '-nvp', `${fs}@2%4`).slice(0, 3)).toEqual([2, 3, 4].map((at) => `destroy\t${fs}@${at}`));
    expect(snapshotsOf(fs)).toHaveLength(4);
    z.ok('destroy', `${fs}@2%3`);
    expect(snapshotsOf(fs)).toEqual(['@1', '@4']);
    z.ok('destroy', `${fs}@1,4`);
    expect(snapshotsOf(fs)).toEqual([]);
  });

  test('a missing dataset', () => {
    const nothing = 'could not find any snapshots to destroy; check snapshot names.\n';
    expect(z.zfs('destroy', `${fs}@none`)).toEqual({ exit: 1, stdout: '', stderr: nothing });
    expect(z.zfs('destroy', `${fs}#none`)).toMatchObject({
      exit: 1,
      stderr: `bookmark '${fs}#none' does not exist.\n`,
    });
    expect(z.zfs('destroy', `${fs}/none`).stderr).toBe(`cannot open '${fs}/none': dataset does not exist\n`);
    expect(z.zfs('destroy', `${fs}/none@1`).stderr).toBe(`cannot open '${fs}/none': dataset does not exist\n`);
    z.ok('destroy', `${fs}@1,none`);
    expect(snapshotsOf(fs)).toEqual(['@2']);
  });

  test('a dataset with snapshots needs -r', () => {
    const { exit, stderr } = z.zfs('destroy', fs);
    expect(exit).toBe(1);
    expect(stderr).toMatch(
      /^cannot destroy '\S+': filesystem has children\nuse '-r' to destroy the following datasets:\n/,
    );
    z.ok('destroy', '-r', fs);
    expect(z.zfs('list', fs).exit).toBe(1);
  });

  test('a snapshot with a clone stays', () => {
    z.ok('clone', `${fs}@1`, `${fs}-clone`);
    expect(z.value('origin', `${fs}-clone`)).toBe(`${fs}@1`);
    const { exit, stderr } = z.zfs('destroy', `${fs}@1`);
    expect(exit).toBe(1);
    expect(stderr).toBe(
      `cannot destroy '${fs}@1': snapshot has dependent clones\nuse '-R' to destroy the following datasets:\n${fs}-clone\n`,
    );
    z.ok('destroy', `${fs}-clone`);
    z.ok('destroy', `${fs}@1`);
  });
});

describe('bookmark', () => {
  test('outlives its snapshot', () => {
    const guid = z.value('guid', `${fs}@1`);
    z.ok('bookmark', `${fs}@1`, `${fs}#mark`);
    z.ok('destroy', `${fs}@1`);
    expect(z.ok('list', '-H', '-t', 'bookmark', '-o', 'guid', fs)).toEqual([guid]);
    z.ok('destroy', `${fs}#mark`);
    expect(z.ok('list', '-H', '-t', 'bookmark', '-o', 'guid', fs)).toEqual([]);
  });

  test('is refused if it exists, and without its snapshot', () => {
    z.ok('bookmark', `${fs}@1`, '#mark');
    const again = z.zfs('bookmark', `${fs}@1`, `${fs}#mark`);
    expect(again).toMatchObject({ exit: 1, stderr: `cannot create bookmark '${fs}#mark': bookmark exists\n` });
    expect(z.zfs('bookmark', `${fs}@none`, `${fs}#x`).stderr).toMatch(
      /^cannot open '\S+@none': dataset does not exist\n/,
    );
  });
});

describe('rollback', () => {
  test('restores the contents of a snapshot', () => {
    const before = z.digest(`${fs}@2`);
    z.write(fs, MIB);
    z.ok('rollback', `${fs}@2`);
    z.ok('snapshot', `${fs}@3`);
    expect(z.digest(`${fs}@3`)).toBe(before);
  });

  test('drops newer snapshots only with -r', () => {
    const { exit, stderr } = z.zfs('rollback', `${fs}@1`);
    expect(exit).toBe(1);
    expect(stderr).toBe(
      `cannot rollback to '${fs}@1': more recent snapshots or bookmarks exist\n` +
        `use '-r' to force deletion of the following snapshots and bookmarks:\n${fs}@2\n`,
    );
    z.ok('rollback', '-r', `${fs}@1`);
    expect(snapshotsOf(fs)).toEqual(['@1']);
    expect(z.value('written', fs)).toBe('0');
  });

  test('stops at a held snapshot', () => {
    z.ok('hold', 'tag', `${fs}@2`);
    expect(z.zfs('rollback', '-r', `${fs}@1`).stderr).toMatch(/dataset is busy|being held/);
    expect(snapshotsOf(fs)).toEqual(['@1', '@2']);
    z.ok('release', 'tag', `${fs}@2`);
  });
});

describe('rename and promote', () => {
  test('rename keeps guids, and clones find their origin', () => {
    const guid = z.value('guid', `${fs}@1`);
    z.ok('clone', `${fs}@1`, `${fs}-clone`);
    z.ok('rename', fs, `${fs}-new`);
    expect(z.value('guid', `${fs}-new@1`)).toBe(guid);
    expect(z.value('origin', `${fs}-clone`)).toBe(`${fs}-new@1`);
    z.ok('rename', `${fs}-new@1`, `${fs}-new@one`);
    expect(z.value('origin', `${fs}-clone`)).toBe(`${fs}-new@one`);
  });

  test('rename is refused if the name exists, is elsewhere, or is unknown', () => {
    z.ok('create', `${fs}-other`);
    const said = (...argv: string[]) => z.zfs('rename', ...argv).stderr;
    expect(said(fs, `${fs}-other`)).toBe(`cannot rename '${fs}': dataset already exists\n`);
    expect(said(fs, `${z.source}/none/x`)).toBe(`cannot create '${z.source}/none/x': parent does not exist\n`);
    expect(said(fs, `${z.target}/x`)).toBe(`cannot rename to '${z.target}/x': datasets must be within same pool\n`);
    expect(said(`${fs}-none`, `${fs}-x`)).toBe(`cannot open '${fs}-none': dataset does not exist\n`);
    expect(said(`${fs}@1`, `${fs}@2`)).toBe(`cannot rename '${fs}@1': dataset already exists\n`);
  });

  test('promote moves the origin and its earlier snapshots', () => {
    const clone = `${fs}-clone`;
    expect(z.zfs('promote', fs).stderr).toBe(`cannot promote '${fs}': not a cloned filesystem\n`);
    z.ok('bookmark', `${fs}@1`, `${fs}#mark`);
    const content = z.digest(`${fs}@2`);
    z.ok('clone', `${fs}@1`, clone);
    z.ok('promote', clone);
    expect(z.value('origin', clone)).toBe('-');
    expect(z.value('origin', fs)).toBe(`${clone}@1`);
    expect(snapshotsOf(clone)).toEqual(['@1']);
    expect(snapshotsOf(fs)).toEqual(['@2']);
    expect(z.ok('list', '-H', '-o', 'name', '-t', 'bookmark', clone)).toEqual([`${clone}#mark`]);
    expect(z.digest(`${fs}@2`)).toBe(content);
  });
});
