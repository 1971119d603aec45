import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isReal, lab, MIB } from './zfs-under-test.ts';

// features of the simulator only, for the tests and the bench that use them
describe.skipIf(isReal)('the simulator', () => {
  // processes of their own, as a user starts them
  const z = lab(256 * MIB, { ZFS_SIM_SERVER: 'off' });
  const fs = `${z.source}/a`;
  const scratch = mkdtempSync(join(tmpdir(), 'zfs-sim-'));

  beforeAll(() => {
    z.ok('create', fs);
    z.write(fs, 4 * MIB);
    z.ok('snapshot', `${fs}@1`);
  });
  afterAll(() => rmSync(scratch, { recursive: true }));

  const ended = (child: ChildProcess) => new Promise<number | null>((resolve) => child.once('close', resolve));

  test('changes by many processes at once are all kept', async () => {
    const tags = Array.from({ length: 12 }, (_, at) => `tag${at}`);
    const exits = await Promise.all(
      tags.map((tag) => ended(spawn('zfs', ['hold', tag, `${fs}@1`], { env: z.env, stdio: 'ignore' }))),
    );
    expect(exits).toEqual(tags.map(() => 0));
    expect(z.value('userrefs', `${fs}@1`)).toBe('12');
    for (const tag of tags) z.ok('release', tag, `${fs}@1`);
  });

  test('a planned failure ends a send in its middle', () => {
    const failing = { ...z.env, ZFS_SIM_FAIL: 'send:cannot send: Input/output error' };
    const { stdout, stderr, exit } = z.as(failing, 'send', `${fs}@1`);
    expect([stderr, exit]).toEqual(['cannot send: Input/output error\n', 1]);
    expect(stdout.length).toBeGreaterThan(0);
    expect(z.feed(z.stream(`${fs}@1`).subarray(0, 2 * MIB), 'receive', '-u', `${z.target}/half`).exit).toBe(1);
  });

  test('a planned failure of another command happens before its changes', () => {
    const failing = { ...z.env, ZFS_SIM_FAIL: 'snapshot:cannot create snapshot: I/O error' };
    expect(z.as(failing, 'snapshot', `${fs}@x`)).toEqual({
      stdout: '',
      stderr: 'cannot create snapshot: I/O error\n',
      exit: 1,
    });
    expect(z.zfs('list', `${fs}@x`).exit).toBe(1);
  });

  test('a log has one line for each invocation', () => {
    const log = join(scratch, 'log');
    z.as({ ...z.env, ZFS_SIM_LOG: log }, 'list', '-H', fs);
    z.as({ ...z.env, ZFS_SIM_LOG: log }, 'list', `${fs}/none`);
    const lines = readFileSync(log, 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line));
    expect(lines).toEqual([
      {
        pid: expect.any(Number),
        argv: ['zfs', 'list', '-H', fs],
        at: expect.any(Number),
        ms: expect.any(Number),
        exit: 0,
      },
      {
        pid: expect.any(Number),
        argv: ['zfs', 'list', `${fs}/none`],
        at: expect.any(Number),
        ms: expect.any(Number),
        exit: 1,
      },
    ]);
  });

  test('a slow receive leaves unread data with its sender', async () => {
    const child = spawn('zfs', ['receive', '-s', '-u', `${z.target}/slow`], {
      env: { ...z.env, ZFS_SIM_RECV_RATE: '64K' },
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    const over = ended(child);
    child.stdin.on('error', () => undefined);
    let taken = false;
    child.stdin.write(z.stream(`${fs}@1`), () => {
      taken = true;
    });
    await expect.poll(() => z.zfs('list', `${z.target}/slow`).exit, { timeout: 30_000 }).toBe(0);
    expect(taken).toBe(false);
    child.kill('SIGKILL');
    await over;
  });

  test('fill creates as many snapshots as requested, each with new data', () => {
    z.ok('create', `${z.source}/filled`);
    z.ok('zfs-sim-fill', `${z.source}/filled`, '1000');
    const lines = z.ok('list', '-Hp', '-t', 'snapshot', '-o', 'guid,written', `${z.source}/filled`);
    expect(lines).toHaveLength(1000);
    expect(new Set(lines.map((line) => line.split('\t')[0])).size).toBe(1000);
    expect(lines.at(-1)?.split('\t')[1]).toBe('4096');
  });

  test('without its folder it names the missing setting', () => {
    const { ZFS_SIM_STATE: _, ...rest } = z.env;
    const { stderr, exit } = z.as(rest, 'list');
    expect(stderr).toMatch(/ZFS_SIM_STATE/);
    expect(exit).toBe(1);
  });
});
