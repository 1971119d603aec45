import { beforeAll, describe, expect, test } from 'vitest';
import { lab, MIB } from './zfs-under-test.ts';

const z = lab();
const COLUMNS =
  'name,type,guid,createtxg,creation,used,available,referenced,written,origin,encryption,keystatus,encryptionroot,receive_resume_token,userrefs,mountpoint,readonly,canmount,mounted,volsize';

beforeAll(() => {
  z.ok('create', `${z.source}/a`);
  z.ok('create', `${z.source}/a/kid`);
  z.ok('create', `${z.source}/a-b`);
  z.ok('create', `${z.source}/with space`);
  z.ok('create', `${z.source}/with:colon`);
  z.write(`${z.source}/a`, MIB);
  // b before a: the order of a listing is not that of the names
  z.ok('snapshot', '-r', `${z.source}/a@b`);
  z.write(`${z.source}/a`, MIB);
  z.ok('snapshot', `${z.source}/a@a`);
  z.ok('bookmark', `${z.source}/a@b`, `${z.source}/a#mark`);
});

/** Names below the source pool, the pool's own part left out. */
const names = (...argv: string[]): string[] =>
  z.ok('list', '-H', '-o', 'name', ...argv).map((line) => line.replace(z.source, ''));

describe('order', () => {
  test('datasets by name, each before its snapshots, snapshots by createtxg', () => {
    expect(names('-r', '-t', 'all', z.source)).toEqual([
      '',
      '/a',
      '/a@b',
      '/a@a',
      '/a#mark',
      '/a-b',
      '/a/kid',
      '/a/kid@b',
      '/with space',
      '/with:colon',
    ]);
  });

  test('-s and -S sort by a column', () => {
    expect(names('-t', 'snapshot', '-r', '-s', 'name', `${z.source}/a`)).toHaveLength(3);
    expect(names('-t', 'snapshot', '-S', 'createtxg', `${z.source}/a`)).toEqual(['/a@a', '/a@b']);
    expect(names('-t', 'snapshot', '-s', 'createtxg', `${z.source}/a`)).toEqual(['/a@b', '/a@a']);
  });
});

describe('depth and types', () => {
  test('without -r only the operand, without -t no snapshots', () => {
    expect(names(`${z.source}/a`)).toEqual(['/a']);
    expect(names('-t', 'all', `${z.source}/a`)).toEqual(['/a']);
  });

  test('-t snapshot alone lists the snapshots of the dataset', () => {
    expect(names('-t', 'snapshot', `${z.source}/a`)).toEqual(['/a@b', '/a@a']);
    expect(names('-t', 'bookmark', `${z.source}/a`)).toEqual(['/a#mark']);
    expect(names('-t', 'snapshot', z.source)).toEqual([]);
  });

  test('snapshots and bookmarks together need a depth', () => {
    expect(z.zfs('list', '-H', '-t', 'snapshot,bookmark', `${z.source}/a`).stderr).toMatch(/operation not applicable/);
    expect(names('-d', '1', '-t', 'snapshot,bookmark', `${z.source}/a`)).toEqual(['/a@b', '/a@a', '/a#mark']);
  });

  test('-d counts a snapshot as one level', () => {
    expect(names('-d', '1', '-t', 'all', `${z.source}/a`)).toEqual(['/a', '/a@b', '/a@a', '/a#mark', '/a/kid']);
    expect(names('-d', '1', '-t', 'all', z.source)).toEqual(['', '/a', '/a-b', '/with space', '/with:colon']);
    expect(names('-d', '0', '-t', 'all', `${z.source}/a`)).toEqual(['/a']);
  });

  test('an operand may be a snapshot or a bookmark', () => {
    expect(names('-t', 'snapshot', `${z.source}/a@b`)).toEqual(['/a@b']);
    expect(names('-t', 'bookmark', `${z.source}/a#mark`)).toEqual(['/a#mark']);
  });

  test('options may follow operands, and -- ends them', () => {
    expect(z.ok('list', `${z.source}/a`, '-H', '-o', 'name')).toEqual([`${z.source}/a`]);
    expect(z.ok('list', '-Ho', 'name', '--', `${z.source}/with space`)).toEqual([`${z.source}/with space`]);
  });
});

describe('columns', () => {
  const row = (name: string, types: string): Record<string, string> => {
    const [line = ''] = z.ok('list', '-Hp', '-t', types, '-o', COLUMNS, name);
    const cells = line.split('\t');
    return Object.fromEntries(COLUMNS.split(',').map((column, at) => [column, cells[at] ?? '']));
  };

  test('of a filesystem', () => {
    const found = row(`${z.source}/a`, 'filesystem');
    expect(found).toMatchObject({
      type: 'filesystem',
      origin: '-',
      encryption: 'off',
      keystatus: '-',
      encryptionroot: '-',
      receive_resume_token: '-',
      userrefs: '-',
      mountpoint: `/${z.source}/a`,
      readonly: 'off',
      canmount: 'on',
      mounted: 'yes',
      volsize: '-',
    });
    expect(found.guid).toMatch(/^\d{1,20}$/);
    expect(Number(found.used)).toBeGreaterThan(2 * MIB);
    expect(Number(found.available)).toBeGreaterThan(0);
    expect(Number(found.createtxg)).toBeGreaterThan(0);
    expect(Math.abs(Number(found.creation) - Date.now() / 1000)).toBeLessThan(3600);
  });

  test('of a snapshot', () => {
    const found = row(`${z.source}/a@a`, 'snapshot');
    expect(found).toMatchObject({ type: 'snapshot', available: '-', origin: '-', encryption: 'off', userrefs: '0' });
    expect(found).toMatchObject({ mountpoint: '-', readonly: '-', canmount: '-', mounted: '-', volsize: '-' });
    expect(Number(found.referenced)).toBeGreaterThan(2 * MIB);
    expect(Number(found.written)).toBeGreaterThan(MIB - 1);
    expect(Number(found.written)).toBeLessThan(1.5 * MIB);
  });

  test('of a bookmark, which has the guid and txg of its snapshot', () => {
    const found = row(`${z.source}/a#mark`, 'bookmark');
    const snapshot = row(`${z.source}/a@b`, 'snapshot');
    expect(found).toMatchObject({
      type: 'bookmark',
      used: '-',
      available: '-',
      written: '-',
      encryption: '-',
      userrefs: '-',
    });
    expect([found.guid, found.createtxg, found.creation]).toEqual([
      snapshot.guid,
      snapshot.createtxg,
      snapshot.creation,
    ]);
  });

  test('of a volume', () => {
    z.ok('create', '-s', '-V', '8M', `${z.source}/vol`);
    const found = row(`${z.source}/vol`, 'volume');
    expect(found).toMatchObject({
      type: 'volume',
      volsize: String(8 * MIB),
      mountpoint: '-',
      canmount: '-',
      mounted: '-',
    });
    z.ok('destroy', `${z.source}/vol`);
  });

  test('a table for people has titles and readable sizes', () => {
    const [titles = '', line = ''] = z.ok('list', `${z.source}/a`);
    expect(titles).toMatch(/^NAME +USED +AVAIL +REFER +MOUNTPOINT$/);
    expect(line).toMatch(/^\S+\/a +2\.\d\dM +\d+M +2\.\d\dM +\/\S+\/a$/);
  });

  test('written grows with what is written, and is 0 after a snapshot', () => {
    z.ok('create', `${z.source}/grow`);
    z.ok('snapshot', `${z.source}/grow@1`);
    expect(z.value('written', `${z.source}/grow`)).toBe('0');
    z.write(`${z.source}/grow`, MIB);
    expect(Number(z.value('written', `${z.source}/grow`))).toBeGreaterThanOrEqual(MIB);
    z.ok('destroy', '-r', `${z.source}/grow`);
  });
});

describe('names and properties that are refused', () => {
  test.each([
    ['none', /^cannot open '\S+\/none': dataset does not exist\n$/],
    ['a@none', /^cannot open '\S+\/a@none': dataset does not exist\n$/],
    ['a;b', /: invalid character ';' in name\n$/],
    ['/a', /: empty component or misplaced '@' or '#' delimiter in name\n$/],
    ['a/', /: trailing slash in name\n$/],
    ['../a', /: parent reference, '\.\.' is found in name\n$/],
    ['a@1@2', /: multiple '@' and\/or '#' delimiters in name\n$/],
    ['x'.repeat(300), /: name is too long\n$/],
  ])('%s', (name, said) => {
    const { exit, stdout, stderr } = z.zfs('list', '-Hp', '-t', 'filesystem,snapshot', `${z.source}/${name}`);
    expect(stderr).toMatch(said);
    expect([exit, stdout]).toEqual([1, '']);
  });

  test('an unknown bookmark', () => {
    const { exit, stderr } = z.zfs('list', '-Hp', '-t', 'bookmark', `${z.source}/a#none`);
    expect(stderr).toMatch(/^cannot open '\S+#none': no such pool or dataset\n$/);
    expect(exit).toBe(1);
  });

  test('a snapshot if only filesystems are requested', () => {
    const { exit, stderr } = z.zfs('list', '-H', '-t', 'filesystem', `${z.source}/a@a`);
    expect(stderr).toMatch(/snapshot delimiter '@' is not expected here/);
    expect(exit).toBe(1);
  });

  test('existing operands are listed though another does not exist', () => {
    const { exit, stdout, stderr } = z.zfs('list', '-H', '-o', 'name', `${z.source}/a`, `${z.source}/none`);
    expect([exit, stdout]).toEqual([1, `${z.source}/a\n`]);
    expect(stderr).toMatch(/does not exist/);
  });

  test('an unknown property or option is wrong usage', () => {
    expect(z.zfs('list', '-o', 'nonsense')).toMatchObject({ exit: 2, stdout: '' });
    expect(z.zfs('list', '-o', 'nonsense').stderr).toMatch(/^bad property list: invalid property 'nonsense'\nusage:/);
    expect(z.zfs('list', '-Q').stderr).toMatch(/^invalid option 'Q'\nusage:/);
    expect(z.zfs('list', '-Q').exit).toBe(2);
    expect(z.zfs('nonsense')).toMatchObject({ exit: 2, stdout: '' });
    expect(z.zfs('nonsense').stderr).toMatch(/^unrecognized command 'nonsense'\n/);
  });
});

describe('get, set and inherit', () => {
  test('a value has a source, the dataset that set it', () => {
    const dataset = `${z.source}/a/kid`;
    const get = (property: string) => z.ok('get', '-Hp', '-o', 'value,source', property, dataset)[0];
    expect(get('recordsize')).toBe('131072\tdefault');
    z.ok('set', 'recordsize=64K', `${z.source}/a`);
    expect(get('recordsize')).toBe(`65536\tinherited from ${z.source}/a`);
    z.ok('set', 'recordsize=32K', dataset);
    expect(get('recordsize')).toBe('32768\tlocal');
    z.ok('inherit', 'recordsize', dataset);
    z.ok('inherit', 'recordsize', `${z.source}/a`);
    expect(get('recordsize')).toBe('131072\tdefault');
  });

  test('user properties, on datasets and snapshots', () => {
    z.ok('set', 'zpsend:x=some value', `${z.source}/a`);
    expect(z.value('zpsend:x', `${z.source}/a/kid`)).toBe('some value');
    expect(z.value('zpsend:none', `${z.source}/a`)).toBe('-');
    z.ok('set', 'zpsend:y=1', `${z.source}/a@a`);
    expect(z.ok('list', '-H', '-t', 'snapshot', '-o', 'zpsend:y', `${z.source}/a@a`)).toEqual(['1']);
    z.ok('inherit', 'zpsend:x', `${z.source}/a`);
    expect(z.value('zpsend:x', `${z.source}/a`)).toBe('-');
  });

  test('get -r -t snapshot, and several properties of one dataset', () => {
    const rows = z.ok('get', '-r', '-t', 'snapshot', '-Hp', '-o', 'name,property', 'guid', `${z.source}/a`);
    expect(rows.map((row) => row.replace(z.source, ''))).toEqual(['/a@b\tguid', '/a@a\tguid', '/a/kid@b\tguid']);
    expect(z.ok('get', '-Hp', '-o', 'property,value', 'type,origin', `${z.source}/a`)).toEqual([
      'type\tfilesystem',
      'origin\t-',
    ]);
  });

  test('a read-only property cannot be set', () => {
    const refused = (...argv: string[]): string => {
      const { exit, stderr } = z.zfs('set', ...argv);
      // -1 since OpenZFS 2.2, 1 before
      expect([1, 255]).toContain(exit);
      return stderr;
    };
    expect(refused('guid=1', `${z.source}/a`)).toMatch(/^cannot set property for '\S+': 'guid' is readonly\n$/);
    expect(refused('nonsense=1', `${z.source}/a`)).toMatch(/: invalid property 'nonsense'\n$/);
    expect(refused('readonly=maybe', `${z.source}/a`)).toMatch(/: 'readonly' must be one of 'on \| off'\n$/);
    expect(refused('readonly=on', `${z.source}/none`)).toMatch(/^cannot open '\S+': dataset does not exist\n$/);
  });
});

describe('zpool', () => {
  test('list shows size and health', () => {
    const { stdout, exit } = z.zpool('list', '-Hp', '-o', 'name,size,allocated,free,capacity,health', z.source);
    expect(exit).toBe(0);
    expect(stdout).toMatch(/^csrc\w+\t\d+\t\d+\t\d+\t\d+\tONLINE\n$/);
  });

  test('an unknown pool', () => {
    expect(z.zpool('list', '-Hp', 'nopool')).toEqual({
      exit: 1,
      stdout: '',
      stderr: "cannot open 'nopool': no such pool\n",
    });
  });

  test('version names a release', () => {
    expect(z.ok('version')[0]).toMatch(/^zfs-\d+\.\d+/);
  });
});
