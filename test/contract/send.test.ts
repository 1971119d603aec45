import { beforeAll, describe, expect, test } from 'vitest';
import { lab, MIB } from './zfs-under-test.ts';

const z = lab();
const fs = `${z.source}/a`;
const other = `${z.source}/other`;

beforeAll(() => {
  z.ok('create', fs);
  for (const name of ['1', '2', '3']) {
    z.write(fs, MIB);
    z.ok('snapshot', `${fs}@${name}`);
    z.ok('bookmark', `${fs}@${name}`, `#${name}`);
  }
  z.ok('create', other);
  z.ok('snapshot', `${other}@1`);
});

/** The size that the last line of a dry run gives. */
const sizeOf = (...argv: string[]): number =>
  Number(
    z
      .ok('send', '-nvP', ...argv)
      .at(-1)
      ?.split('\t')[1],
  );

describe('a dry run', () => {
  test('of a full stream', () => {
    const [line = '', size = ''] = z.ok('send', '-nvP', `${fs}@3`);
    expect(line).toMatch(/^full\t\S+\/a@3\t\d+$/);
    expect(size).toMatch(/^size\t\d+$/);
    expect(sizeOf(`${fs}@3`)).toBeGreaterThan(3 * MIB);
    expect(sizeOf(`${fs}@3`)).toBeLessThan(3.5 * MIB);
  });

  test('of an incremental from a snapshot or a bookmark, by short and full names', () => {
    for (const from of ['@2', `${fs}@2`]) {
      expect(z.ok('send', '-nvP', '-i', from, `${fs}@3`)[0]).toMatch(/^incremental\t\S+\t\S+\/a@3\t\d+$/);
      expect(sizeOf('-i', from, `${fs}@3`)).toBeLessThan(1.2 * MIB);
    }
    expect(z.ok('send', '-nvP', '-i', `${fs}#2`, `${fs}@3`)[0]).toMatch(/^incremental\t\S+#2\t\S+@3\t\d+$/);
    expect(sizeOf('-i', '#2', `${fs}@3`)).toBeLessThan(1.2 * MIB);
  });

  test('for people', () => {
    expect(z.ok('send', '-nv', `${fs}@3`)).toEqual([
      expect.stringMatching(/^full send of \S+@3 estimated size is 3\.\d+M$/),
      expect.stringMatching(/^total estimated size is 3\.\d+M$/),
    ]);
    expect(z.ok('send', '-nv', '-i', '@1', `${fs}@2`)[0]).toMatch(/^send from \S+ to \S+@2 estimated size is 1\.0\dM$/);
  });

  test('writes no stream, and takes the flags of a real one', () => {
    expect(z.ok('send', '-n', `${fs}@3`)).toEqual([]);
    expect(z.ok('send', '-nvP', '-w', '-c', '-L', '-e', '-p', `${fs}@3`).at(-1)).toMatch(/^size\t\d+$/);
  });
});

describe('a stream', () => {
  test('is about as long as the dry run’s estimate', () => {
    const { length } = z.stream(`${fs}@3`);
    expect(length / sizeOf(`${fs}@3`)).toBeGreaterThan(0.9);
    expect(length / sizeOf(`${fs}@3`)).toBeLessThan(1.1);
  });

  test('starts with a record that has the guids and the snapshot', () => {
    const begin = z.stream('-i', '@1', `${fs}@2`).subarray(0, 312);
    expect(begin.readBigUInt64LE(8)).toBe(0x2f5bacbacn);
    expect(begin.readBigUInt64LE(40).toString()).toBe(z.value('guid', `${fs}@2`));
    expect(begin.readBigUInt64LE(48).toString()).toBe(z.value('guid', `${fs}@1`));
    expect(begin.toString('utf8', 56, begin.indexOf(0, 56))).toBe(`${fs}@2`);
  });
});

describe('a send is refused', () => {
  const earlier = "warning: cannot send 'FS@1': not an earlier snapshot from the same fs\n";
  test.each([
    ['of an unknown snapshot', ['FS@none'], "cannot open 'FS@none': dataset does not exist\n"],
    ['of an unknown dataset', ['FS/none@1'], "cannot open 'FS/none@1': dataset does not exist\n"],
    ['of an unknown pool', ['nopool@1'], "cannot open 'nopool@1': dataset does not exist\n"],
    ['from a later snapshot', ['-i', '@3', 'FS@1'], earlier],
    ['from itself', ['-i', '@1', 'FS@1'], earlier],
    ['from another dataset', ['-i', 'OTHER@1', 'FS@1'], earlier],
    ['from a later bookmark', ['-i', '#2', 'FS@1'], earlier],
    ['from an unknown snapshot', ['-i', '@none', 'FS@2'], "cannot open 'FS@none': dataset does not exist\n"],
    [
      'from an unknown bookmark',
      ['-i', '#none', 'FS@2'],
      "warning: cannot send 'FS@2': incremental source (FS#none) does not exist\n",
    ],
    [
      'from an unknown bookmark, in a dry run',
      ['-nvP', '-i', '#none', 'FS@2'],
      "warning: cannot send 'FS@2': No such process\n",
    ],
  ])('%s', (_what, argv, said) => {
    const full = (text: string): string => text.replaceAll('FS', fs).replaceAll('OTHER', other);
    expect(z.zfs('send', ...argv.map(full))).toEqual({ exit: 1, stdout: '', stderr: full(said) });
  });

  test('with an invalid token', () => {
    const refused = (token: string) => z.zfs('send', '-t', token);
    const said = 'cannot resume send: resume token is corrupt';
    expect(refused('nonsense')).toEqual({ exit: 255, stdout: '', stderr: `${said} (invalid format)\n` });
    expect(refused('1-abc-def')).toMatchObject({ exit: 255, stdout: '' });
    expect(refused('1-abc-8-0000')).toEqual({ exit: 255, stdout: '', stderr: `${said} (incorrect checksum)\n` });
  });

  test('without a snapshot, as wrong usage', () => {
    expect(z.zfs('send')).toMatchObject({ exit: 2, stdout: '' });
  });
});
