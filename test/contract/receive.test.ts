import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { lab, MIB } from './zfs-under-test.ts';

const z = lab();
const fs = `${z.source}/a`;
const streams: Record<'full1' | 'full3' | 'i12' | 'i23' | 'other', Buffer> = {
  full1: Buffer.of(),
  full3: Buffer.of(),
  i12: Buffer.of(),
  i23: Buffer.of(),
  other: Buffer.of(),
};
let to = '';
let count = 0;

beforeAll(() => {
  z.ok('create', fs);
  for (const name of ['1', '2', '3']) {
    z.write(fs, MIB);
    z.ok('snapshot', `${fs}@${name}`);
  }
  z.ok('create', `${z.source}/other`);
  z.write(`${z.source}/other`, 200_000);
  z.ok('snapshot', `${z.source}/other@1`);
  streams.full1 = z.stream(`${fs}@1`);
  streams.full3 = z.stream(`${fs}@3`);
  streams.i12 = z.stream('-i', '@1', `${fs}@2`);
  streams.i23 = z.stream('-i', '@2', `${fs}@3`);
  streams.other = z.stream(`${z.source}/other@1`);
});

beforeEach(() => {
  to = `${z.target}/to${count++}`;
});

const done = { exit: 0, stdout: '', stderr: '' };
const receive = (stream: Buffer, ...argv: string[]) => z.feed(stream, 'receive', '-s', '-u', ...argv);
const snapshotsOf = (dataset: string): string[] =>
  z.ok('list', '-H', '-o', 'name', '-t', 'snapshot', dataset).map((name) => name.slice(dataset.length));
const refused = (stream: Buffer, ...argv: string[]): string => {
  const { exit, stdout, stderr } = receive(stream, ...argv);
  expect([exit, stdout]).toEqual([1, '']);
  return stderr;
};

describe('good streams', () => {
  test('keep guid, creation and content, and have a createtxg of the target pool', () => {
    expect(receive(streams.full1, to)).toEqual(done);
    expect(receive(streams.i12, to)).toEqual(done);
    expect(receive(streams.i23, to)).toEqual(done);
    expect(snapshotsOf(to)).toEqual(['@1', '@2', '@3']);
    for (const tail of ['@1', '@2', '@3']) {
      for (const property of ['guid', 'creation']) {
        expect(z.value(property, `${to}${tail}`)).toBe(z.value(property, `${fs}${tail}`));
      }
      expect(z.digest(`${to}${tail}`)).toBe(z.digest(`${fs}${tail}`));
    }
    expect(Number(z.value('createtxg', `${to}@2`))).toBeGreaterThan(Number(z.value('createtxg', `${to}@1`)));
    expect(z.value('guid', to)).not.toBe(z.value('guid', fs));
    expect(z.value('receive_resume_token', to)).toBe('-');
    expect(z.value('mounted', to)).toBe('no');
  });

  test('-v prints the received snapshots', () => {
    const { exit, stdout } = receive(streams.full1, '-v', to);
    expect(exit).toBe(0);
    expect(stdout).toMatch(
      /^receiving full stream of \S+\/a@1 into \S+@1\nreceived \S+ stream in \S+ seconds \(\S+\/sec\)\n$/,
    );
  });

  test('a snapshot may get another name, and keeps its guid', () => {
    expect(receive(streams.full1, `${to}@named`)).toEqual(done);
    expect(snapshotsOf(to)).toEqual(['@named']);
    expect(z.value('guid', `${to}@named`)).toBe(z.value('guid', `${fs}@1`));
  });

  test('-o sets and -x excludes properties', () => {
    const stream = z.stream('-p', `${fs}@1`);
    expect(receive(stream, '-o', 'readonly=on', '-o', 'a:b=c', '-x', 'mountpoint', to)).toEqual(done);
    expect(z.value('readonly', to)).toBe('on');
    expect(z.value('a:b', to)).toBe('c');
    expect(z.value('mountpoint', to)).toBe(`/${to}`);
  });

  test('edge case 24: from a bookmark, after its snapshot is gone', () => {
    const home = `${z.source}/marked`;
    z.ok('create', home);
    z.ok('snapshot', `${home}@1`);
    z.ok('bookmark', `${home}@1`, '#1');
    expect(receive(z.stream(`${home}@1`), to)).toEqual(done);
    z.ok('destroy', `${home}@1`);
    z.write(home, MIB);
    z.ok('snapshot', `${home}@2`);
    expect(receive(z.stream('-i', '#1', `${home}@2`), to)).toEqual(done);
    expect(z.digest(`${to}@2`)).toBe(z.digest(`${home}@2`));
  });

  test('names with spaces and colons', () => {
    const odd = `${z.source}/my data:1`;
    z.ok('create', odd);
    z.ok('snapshot', `${odd}@at 12:00`);
    expect(receive(z.stream(`${odd}@at 12:00`), `${to} x:y`)).toEqual(done);
    expect(snapshotsOf(`${to} x:y`)).toEqual(['@at 12:00']);
  });

  test('a volume', () => {
    z.ok('create', '-V', '8M', `${z.source}/vol`);
    z.ok('snapshot', `${z.source}/vol@1`);
    const { exit, stderr } = receive(z.stream(`${z.source}/vol@1`), '-x', 'mountpoint', to);
    expect(exit).toBe(0);
    expect(stderr).toMatch(/^Warning: \S+: property 'mountpoint' does not apply to datasets of this type\n$/);
    expect([z.value('type', to), z.value('volsize', to)]).toEqual(['volume', String(8 * MIB)]);
  });

  test('an existing snapshot counts as received', () => {
    receive(streams.full1, to);
    receive(streams.i12, to);
    expect(receive(streams.i12, to)).toEqual(done);
    expect(snapshotsOf(to)).toEqual(['@1', '@2']);
  });

  test('an incremental passes a newer snapshot without changes', () => {
    receive(streams.full1, to);
    z.ok('snapshot', `${to}@empty`);
    expect(receive(streams.i12, to)).toEqual(done);
    expect(snapshotsOf(to)).toEqual(['@1', '@empty', '@2']);
  });
});

describe('the destination', () => {
  test('exists: a full stream is refused', () => {
    receive(streams.full1, to);
    const exists = (name: string) =>
      `cannot receive new filesystem stream: destination '${name}' exists\nmust specify -F to overwrite it\n`;
    expect(refused(streams.full3, to)).toBe(exists(to));
    expect(refused(streams.full1, `${to}@1`)).toBe(exists(to));
    expect(refused(streams.full1, z.target)).toBe(exists(z.target));
    expect(refused(streams.full3, '-F', to)).toBe(
      `cannot receive new filesystem stream: destination has snapshots (eg. ${to}@1)\nmust destroy them to overwrite it\n`,
    );
  });

  test('is empty: -F overwrites it', () => {
    z.ok('create', to);
    expect(refused(streams.full1, to)).toMatch(/exists\nmust specify -F/);
    expect(receive(streams.full1, '-F', to)).toEqual(done);
    expect(z.digest(`${to}@1`)).toBe(z.digest(`${fs}@1`));
  });

  test('is missing, for an incremental', () => {
    expect(refused(streams.i12, to)).toBe(`cannot receive incremental stream: destination '${to}' does not exist\n`);
  });

  test('has no parent, or no pool', () => {
    for (const parent of [to, 'nopool']) {
      expect(refused(streams.full1, `${parent}/x`)).toBe(
        `cannot open '${parent}': dataset does not exist\n` +
          'cannot receive new filesystem stream: unable to restore to destination\n',
      );
    }
  });

  test('has no name', () => {
    expect(refused(streams.full1, `${to};x`)).toMatch(/^cannot receive: invalid name\n$/);
  });
});

describe('an incremental stream and its base', () => {
  test('the base is missing', () => {
    receive(streams.full1, to);
    const said = `cannot receive incremental stream: most recent snapshot of ${to} does not\nmatch incremental source\n`;
    expect(refused(streams.i23, to)).toBe(said);
    expect(refused(streams.i23, '-F', to)).toBe(said);
    expect(snapshotsOf(to)).toEqual(['@1']);
  });

  test('an unrelated dataset', () => {
    receive(streams.other, to);
    expect(refused(streams.i12, to)).toMatch(/most recent snapshot of \S+ does not\nmatch incremental source/);
  });

  test('the target has been modified', () => {
    receive(streams.full1, to);
    z.write(to, 300_000);
    const said = `cannot receive incremental stream: destination ${to} has been modified\nsince most recent snapshot\n`;
    expect(refused(streams.i12, to)).toBe(said);
    z.ok('snapshot', `${to}@local`);
    expect(refused(streams.i12, to)).toBe(said);
    expect(snapshotsOf(to)).toEqual(['@1', '@local']);
    expect(receive(streams.i12, '-F', to)).toEqual(done);
    expect(snapshotsOf(to)).toEqual(['@1', '@2']);
    expect(z.digest(`${to}@2`)).toBe(z.digest(`${fs}@2`));
  });

  test('the name is taken by a snapshot with another guid', () => {
    receive(streams.full1, to);
    z.ok('snapshot', `${to}@2`);
    expect(refused(streams.i12, to)).toBe(`cannot restore to ${to}@2: destination already exists\n`);
  });

  test('-F stops at a newer snapshot that is held', () => {
    receive(streams.full1, to);
    z.ok('snapshot', `${to}@held`);
    z.ok('hold', 'tag', `${to}@held`);
    expect(refused(streams.i12, '-F', to)).toMatch(/^cannot receive incremental stream: dataset is busy\n$/);
    expect(snapshotsOf(to)).toEqual(['@1', '@held']);
    z.ok('release', 'tag', `${to}@held`);
  });
});

describe('clones', () => {
  const clone = `${z.source}/clone`;
  let stream: Buffer = Buffer.of();
  beforeAll(() => {
    z.ok('clone', `${fs}@1`, clone);
    z.write(clone, 300_000);
    z.ok('snapshot', `${clone}@c`);
    stream = z.stream('-i', `${fs}@1`, `${clone}@c`);
  });

  test('the origin is found by its guid, or refused', () => {
    const elsewhere = `${z.pool('cempty', 64 * MIB)}/x`;
    expect(refused(stream, elsewhere)).toBe(`cannot receive: local origin for clone ${elsewhere}@c does not exist\n`);
    receive(streams.full1, `${to}-origin`);
    expect(receive(stream, to)).toEqual(done);
    expect(z.value('guid', z.value('origin', to))).toBe(z.value('guid', `${fs}@1`));
    expect(z.digest(`${to}@c`)).toBe(z.digest(`${clone}@c`));
    z.ok('destroy', '-r', to);
    z.ok('destroy', '-r', `${to}-origin`);
  });

  test('-o origin names it', () => {
    receive(streams.full1, `${to}-1`);
    receive(streams.full1, `${to}-2`);
    expect(receive(stream, '-o', `origin=${to}-2@1`, to)).toEqual(done);
    expect(z.value('origin', to)).toBe(`${to}-2@1`);
    expect(refused(stream, '-o', `origin=${to}-none@1`, `${to}-x`)).toMatch(
      /^cannot receive: specified origin fs \(\S+-none@1\) does not exist\n$/,
    );
    receive(streams.other, `${to}-3`);
    expect(refused(stream, '-o', `origin=${to}-3@1`, `${to}-x`)).toMatch(
      /most recent snapshot of \S+-x does not\nmatch incremental source/,
    );
    for (const name of [to, `${to}-1`, `${to}-2`]) z.ok('destroy', '-r', name);
  });
});

describe('bad streams', () => {
  test('nothing, a little, and something else', () => {
    expect(refused(Buffer.of(), to)).toBe('cannot receive: failed to read from stream\n');
    expect(refused(Buffer.from('hello\n'), to)).toBe('cannot receive: failed to read from stream\n');
    expect(refused(streams.full1.subarray(0, 100), to)).toBe('cannot receive: failed to read from stream\n');
    expect(refused(Buffer.alloc(5000, 'x'), to)).toBe('cannot receive: invalid stream (bad magic number)\n');
    expect(z.zfs('list', to).exit).toBe(1);
  });

  test('a cut stream leaves nothing without -s', () => {
    const cut = streams.full3.subarray(0, 2_000_000);
    expect(z.feed(cut, 'receive', '-u', to)).toEqual({
      exit: 1,
      stdout: '',
      stderr: 'cannot receive new filesystem stream: incomplete stream\n',
    });
    expect(z.zfs('list', to).exit).toBe(1);
  });

  test('an altered stream is noticed', () => {
    const altered = Buffer.from(streams.full3);
    altered.fill('x', 1_500_000, 1_600_000);
    const { exit, stderr } = z.feed(altered, 'receive', '-u', to);
    expect(exit).toBe(1);
    expect(stderr).toMatch(/^cannot receive new filesystem stream: .*checksum mismatch/);
    expect(z.zfs('list', to).exit).toBe(1);
  });

  test('a stream with a piece left out is noticed', () => {
    const holed = Buffer.concat([streams.full3.subarray(0, 1_000_000), streams.full3.subarray(1_131_072)]);
    expect(z.feed(holed, 'receive', '-u', to).exit).toBe(1);
    expect(z.zfs('list', to).exit).toBe(1);
  });

  test('a stream with two pieces swapped is noticed', () => {
    const [a, b, c] = [1_000_000, 1_131_072, 1_262_144];
    const { full3 } = streams;
    const swapped = Buffer.concat([
      full3.subarray(0, a),
      full3.subarray(b, c),
      full3.subarray(a, b),
      full3.subarray(c),
    ]);
    expect(z.feed(swapped, 'receive', '-u', to).exit).toBe(1);
    expect(z.zfs('list', to).exit).toBe(1);
  });

  test('an unknown property', () => {
    expect(refused(streams.full1, '-o', 'nonsense=1', to)).toMatch(/^cannot receive: .*invalid property 'nonsense'\n$/);
    expect(z.zfs('list', to).exit).toBe(1);
  });
});

describe('room', () => {
  test('edge case 15: a full pool', () => {
    const small = z.pool('csmall', 64 * MIB);
    z.ok('create', `${z.source}/big`);
    z.write(`${z.source}/big`, 80 * MIB);
    z.ok('snapshot', `${z.source}/big@1`);
    const { exit, stderr } = z.feed(z.stream(`${z.source}/big@1`), 'receive', '-u', `${small}/x`);
    expect([exit, stderr]).toEqual([1, 'cannot receive new filesystem stream: out of space\n']);
    expect(z.zfs('list', `${small}/x`).exit).toBe(1);
  });

  test('edge case 15: a full pool keeps the received part of a resumable stream, and its space, until an abort', async () => {
    const small = z.pool('csmallr', 64 * MIB);
    const free = () => Number(z.value('available', small));
    const before = free();
    expect(z.feed(z.stream(`${z.source}/big@1`), 'receive', '-s', '-u', `${small}/x`).exit).toBe(1);
    expect(z.value('receive_resume_token', `${small}/x`)).toMatch(/^1-/);
    expect(free()).toBeLessThan(before / 2);
    z.ok('receive', '-A', `${small}/x`);
    expect(z.zfs('list', `${small}/x`).exit).toBe(1);
    await expect.poll(free, { timeout: 30_000 }).toBeGreaterThan(before / 2);
  });

  test('edge case 15: a quota of the parent', () => {
    z.ok('create', '-o', 'quota=20M', to);
    const { exit, stderr } = z.feed(z.stream(`${z.source}/big@1`), 'receive', '-u', `${to}/x`);
    expect(exit).toBe(1);
    expect(stderr).toMatch(/^cannot receive new filesystem stream: destination \S+\/x space quota exceeded\.\n$/);
  });
});

describe('a dataset that changes while it receives', () => {
  const modified = () =>
    `cannot receive incremental stream: destination ${to} has been modified\nsince most recent snapshot\n`;
  const upgrade = () => 'cannot receive incremental stream: kernel modules must be upgraded to receive this stream.\n';
  const snapshot = () => z.ok('snapshot', `${to}@own`);
  const write = () => z.write(to, 100_000);

  test.each<[string, () => unknown, () => string]>([
    ['a local snapshot', snapshot, upgrade],
    ['written data', write, modified],
  ])('keeps %s, and refuses the stream at its end', async (_, change, said) => {
    expect(z.feed(streams.full1, 'receive', to).exit).toBe(0);
    const running = z.receiveSlowly(streams.i12.subarray(0, 600_000), 'receive', '-s', '-u', to);
    await expect.poll(() => z.value('receive_resume_token', to), { timeout: 30_000 }).toMatch(/^1-/);
    change();
    const there = snapshotsOf(to);
    expect(await running.end(streams.i12.subarray(600_000))).toEqual({ exit: 1, stderr: said() });
    expect(snapshotsOf(to)).toEqual(there);
    expect(z.value('receive_resume_token', to)).toMatch(/^1-/);
  });
});
