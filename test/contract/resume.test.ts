import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { lab, MIB } from './zfs-under-test.ts';

const z = lab(1024 * MIB);
const fs = `${z.source}/a`;
const streams: Record<'full' | 'step', Buffer> = { full: Buffer.of(), step: Buffer.of() };
let to = '';
let count = 0;

beforeAll(() => {
  z.ok('create', fs);
  z.write(fs, 8 * MIB);
  z.ok('snapshot', `${fs}@1`);
  z.write(fs, 8 * MIB);
  z.ok('snapshot', `${fs}@2`);
  streams.full = z.stream(`${fs}@1`);
  streams.step = z.stream('-i', '@1', `${fs}@2`);
});

beforeEach(() => {
  to = `${z.target}/to${count++}`;
});

const receive = (stream: Buffer, ...argv: string[]) => z.feed(stream, 'receive', '-s', '-u', ...argv);
const tokenOf = (dataset: string): string =>
  z.zfs('get', '-Hp', '-o', 'value', 'receive_resume_token', dataset).stdout.trim();
const TOKEN = /^1-[0-9a-f]+-[0-9a-f]+-[0-9a-f]+$/;
const cut = (stream: Buffer): Buffer => stream.subarray(0, 5 * MIB);
const partial = (dataset: string): string =>
  `destination ${dataset} contains partially-complete state from "zfs receive -s".\n`;

describe('an interrupted full stream', () => {
  test('leaves the new dataset with a token, and prints how to resume it', () => {
    const { exit, stderr } = receive(cut(streams.full), to);
    expect(exit).toBe(1);
    expect(tokenOf(to)).toMatch(TOKEN);
    expect(stderr).toBe(
      'cannot receive new filesystem stream: checksum mismatch or incomplete stream.\n' +
        'Partially received snapshot is saved.\n' +
        'A resuming stream can be generated on the sending system by running:\n' +
        `    zfs send -t ${tokenOf(to)}\n`,
    );
    expect(z.ok('list', '-H', '-r', '-t', 'all', '-o', 'name,mounted,origin', to)).toEqual([`${to}\tno\t-`]);
  });

  test('is continued from its token, with the rest only', () => {
    receive(cut(streams.full), to);
    const rest = z.stream('-t', tokenOf(to));
    expect(rest.length).toBeLessThan(6 * MIB);
    expect(receive(rest, to)).toEqual({ exit: 0, stdout: '', stderr: '' });
    expect(tokenOf(to)).toBe('-');
    expect(z.value('guid', `${to}@1`)).toBe(z.value('guid', `${fs}@1`));
    expect(z.digest(`${to}@1`)).toBe(z.digest(`${fs}@1`));
  });

  test('can be interrupted again', () => {
    receive(cut(streams.full), to);
    const first = tokenOf(to);
    const again = receive(z.stream('-t', first).subarray(0, 2 * MIB), to);
    expect(again.stderr).toMatch(/^cannot receive resume stream: checksum mismatch or incomplete stream\.\n/);
    expect(tokenOf(to)).toMatch(TOKEN);
    expect(tokenOf(to)).not.toBe(first);
    expect(receive(z.stream('-t', tokenOf(to)), to).exit).toBe(0);
    expect(z.digest(`${to}@1`)).toBe(z.digest(`${fs}@1`));
  });

  test('edge case 6: blocks another stream and a snapshot, and does not block destroy', () => {
    receive(cut(streams.full), to);
    const refused = (...argv: string[]): string => receive(streams.full, ...argv).stderr;
    expect(refused(to)).toMatch(/^cannot receive new filesystem stream: destination '\S+' exists\nmust specify -F/);
    expect(refused('-F', to)).toBe(`cannot receive new filesystem stream: ${partial(to)}`);
    expect(z.zfs('snapshot', `${to}@x`).stderr).toBe(`cannot create snapshot '${to}@x': dataset is busy\n`);
    z.ok('destroy', to);
    expect(z.zfs('list', to).exit).toBe(1);
  });

  test('is discarded with -A', () => {
    receive(cut(streams.full), to);
    z.ok('receive', '-A', to);
    expect(z.zfs('list', to).exit).toBe(1);
    expect(receive(streams.full, to).exit).toBe(0);
  });
});

describe('an interrupted incremental stream', () => {
  beforeEach(() => {
    receive(streams.full, to);
    expect(receive(cut(streams.step), to).stderr).toMatch(
      /^cannot receive incremental stream: checksum mismatch or inc/,
    );
  });

  test('leaves a token on the dataset, and keeps its snapshots', () => {
    expect(tokenOf(to)).toMatch(TOKEN);
    expect(z.ok('list', '-H', '-r', '-t', 'all', '-o', 'name', to)).toEqual([to, `${to}@1`]);
    expect(z.digest(`${to}@1`)).toBe(z.digest(`${fs}@1`));
  });

  test('is continued from its token', () => {
    const rest = z.stream('-t', tokenOf(to));
    expect(rest.length).toBeLessThan(6 * MIB);
    expect(receive(rest, to)).toEqual({ exit: 0, stdout: '', stderr: '' });
    expect(z.digest(`${to}@2`)).toBe(z.digest(`${fs}@2`));
  });

  test('blocks the same stream from its start, even with -F', () => {
    expect(receive(streams.step, to).stderr).toBe(`cannot receive incremental stream: ${partial(to)}`);
    expect(receive(streams.step, '-F', to).stderr).toBe(`cannot receive incremental stream: ${partial(to)}`);
  });

  test('edge case 6: protects its base from being destroyed, until -A', () => {
    const destroyed = z.zfs('destroy', `${to}@1`);
    expect(destroyed.exit).toBe(1);
    expect(destroyed.stderr).toMatch(/snapshot has dependent clones\n.*\n\S+\/%recv\n$/);
    expect(z.zfs('destroy', to).stderr).toMatch(/filesystem has children\n.*\n\S+\/%recv\n/);
    z.ok('receive', '-A', to);
    expect(tokenOf(to)).toBe('-');
    expect(receive(streams.step, to).exit).toBe(0);
  });
});

test('edge case 40: a pool without extensible_dataset refuses a receive with -s, and takes the stream without it', () => {
  const old = z.pool('noresume', 96 * MIB, '-d');
  const small = `${z.source}/small`;
  z.ok('create', small);
  z.ok('snapshot', `${small}@1`);
  const stream = z.stream(`${small}@1`);
  expect(receive(stream, `${old}/a`).stderr).toBe(
    'cannot receive new filesystem stream: pool must be upgraded to receive this stream.\n',
  );
  expect(z.feed(stream, 'receive', '-u', `${old}/a`).exit).toBe(0);
  expect(z.value('guid', `${old}/a@1`)).toBe(z.value('guid', `${small}@1`));
});

describe('a token', () => {
  test('edge case 22: can be decoded, with the size of the rest', () => {
    receive(streams.full, to);
    receive(cut(streams.step), to);
    const guid = (name: string): string => `0x${BigInt(z.value('guid', name)).toString(16)}`;
    const lines = z.ok('send', '-nvPt', tokenOf(to));
    expect(lines.slice(0, 2)).toEqual(['resume token contents:', 'nvlist version: 0']);
    expect(lines).toContain(`\ttoguid = ${guid(`${fs}@2`)}`);
    expect(lines).toContain(`\tfromguid = ${guid(`${fs}@1`)}`);
    expect(lines).toContain(`\ttoname = ${fs}@2`);
    expect(lines.filter((line) => /^\t(object|offset|bytes) = 0x[0-9a-f]+$/.test(line))).toHaveLength(3);
    expect(lines.at(-2)).toMatch(/^incremental\t\S+\t\S+@2\t\d+$/);
    expect(lines.at(-1)).toMatch(/^size\t\d+$/);
    expect(Number(lines.at(-1)?.split('\t')[1])).toBeLessThan(6 * MIB);
  });

  test('with an altered digit is refused', () => {
    receive(cut(streams.full), to);
    const token = tokenOf(to);
    const altered = `${token.slice(0, 40)}${token.at(40) === '0' ? '1' : '0'}${token.slice(41)}`;
    expect(z.zfs('send', '-nvt', altered)).toMatchObject({
      exit: 255,
      stderr: 'cannot resume send: resume token is corrupt (incorrect checksum)\n',
    });
  });

  test('edge case 5: is stale after its snapshot is destroyed, and follows a rename', () => {
    const home = `${z.source}/short`;
    z.ok('create', home);
    z.write(home, 8 * MIB);
    z.ok('snapshot', `${home}@1`);
    receive(cut(z.stream(`${home}@1`)), to);
    const token = tokenOf(to);
    z.ok('rename', home, `${home}er`);
    expect(z.ok('send', '-nvPt', token).at(-1)).toMatch(/^size\t\d+$/);
    z.ok('destroy', `${home}er@1`);
    const { exit, stderr } = z.zfs('send', '-t', token);
    expect([exit, stderr]).toEqual([
      255,
      `cannot resume send: '${home}@1' used in the initial send no longer exists\n`,
    ]);
    expect(z.zfs('send', '-nvPt', token).exit).toBe(255);
  });
});

describe('a receive that is killed', () => {
  const halfWay = () => tokenOf(to).startsWith('1-');
  test.each(['SIGTERM', 'SIGKILL', 'SIGINT'] as const)('with %s leaves a token that continues', async (signal) => {
    await z.receiveAndKill(cut(streams.full), signal, halfWay, 'receive', '-s', '-u', to);
    expect(tokenOf(to)).toMatch(TOKEN);
    expect(receive(z.stream('-t', tokenOf(to)), to).exit).toBe(0);
    expect(z.digest(`${to}@1`)).toBe(z.digest(`${fs}@1`));
  });

  test('leaves nothing without -s', async () => {
    const hasStarted = () => z.zfs('list', to).exit === 0;
    await z.receiveAndKill(cut(streams.full), 'SIGKILL', hasStarted, 'receive', '-u', to);
    expect(z.zfs('list', to).exit).toBe(1);
  });
});

describe('a running receive', () => {
  test('edge case 7: blocks other receives', async () => {
    const running = z.receiveSlowly(cut(streams.full), 'receive', '-s', '-u', to);
    await expect.poll(() => tokenOf(to), { timeout: 30_000 }).toMatch(TOKEN);
    expect(receive(streams.full, to).stderr).toMatch(/destination '\S+' exists\nmust specify -F/);
    expect(receive(streams.full, '-F', to).stderr).toMatch(/contains partially-complete state/);
    expect(z.zfs('receive', '-A', to)).toMatchObject({ exit: 1, stderr: `cannot destroy '${to}': dataset is busy\n` });
    expect(z.zfs('destroy', to)).toMatchObject({ exit: 1, stderr: `cannot destroy '${to}': dataset is busy\n` });
    expect((await running.end()).exit).toBe(1);
    expect(receive(z.stream('-t', tokenOf(to)), to).exit).toBe(0);
  });
});

describe('without an interrupted receive', () => {
  test('-A fails with a message', () => {
    receive(streams.full, to);
    const said = `'${to}' does not have any resumable receive state to abort\n`;
    expect(z.zfs('receive', '-A', to)).toEqual({ exit: 1, stdout: '', stderr: said });
    expect(z.zfs('receive', '-A', `${to}-none`).stderr).toMatch(/^cannot open '\S+-none': dataset does not exist\n/);
  });

  test('a resumed stream is refused', () => {
    receive(cut(streams.full), to);
    const rest = z.stream('-t', tokenOf(to));
    expect(receive(rest, `${to}-none`).stderr).toBe(
      `cannot receive resume stream: destination '${to}-none' does not exist\n`,
    );
    receive(rest.subarray(0, 2 * MIB), to);
    expect(receive(rest, to)).toMatchObject({ exit: 1, stdout: '' });
    expect(tokenOf(to)).toMatch(TOKEN);
  });
});
