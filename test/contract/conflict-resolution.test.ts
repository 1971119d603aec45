import { randomBytes } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createZfs } from '../../lib/zfs/zfs.ts';
import { isReal, lab } from './zfs-under-test.ts';

const z = lab();
const zfs = createZfs({ host: 'here', env: z.env });
const done = { exit: 0, stdout: '', stderr: '' };

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error) => error.code,
  );
const there = (dataset: string): string[] =>
  z.ok('list', '-Hp', '-r', '-t', 'all', '-o', 'name', dataset).map((name) => name.replace(`${z.target}/`, ''));
const written = (dataset: string): number => Number(z.value('written', dataset));

function history(name: string, ...snapshots: string[]): string {
  z.ok('create', name);
  for (const snapshot of snapshots) {
    z.write(name, 200_000);
    z.ok('snapshot', `${name}@${snapshot}`);
  }
  return name;
}

/** A dataset of the source up to @3, of which the target has @1 and @2. */
function replicated(name: string): { s: string; t: string } {
  const [s, t] = [history(`${z.source}/${name}`, '1', '2', '3'), `${z.target}/${name}`];
  expect(z.feed(z.stream(`${s}@1`), 'receive', '-s', '-u', `${t}@1`)).toEqual(done);
  expect(z.feed(z.stream('-i', '@1', `${s}@2`), 'receive', '-s', '-u', `${t}@2`)).toEqual(done);
  return { s, t };
}

/** Snapshots of the target's own, each with something in it. */
function diverge(t: string, ...snapshots: string[]): void {
  for (const snapshot of snapshots) {
    z.write(t, 100_000);
    z.ok('snapshot', `${t}@${snapshot}`);
  }
}

describe('destroying snapshots by name', () => {
  test('destroys all of them, or none if one is held or cloned from', async () => {
    const { t } = replicated('all');
    diverge(t, 'x', 'y', 'z');
    const before = there(t);
    z.ok('hold', 'keep', `${t}@y`);
    // 2.1 prints only that it is busy
    expect(await codeOf(zfs.destroySnapshots(t, ['x', 'y', 'z']))).toMatch(/^(?:DIVERGED|BUSY)$/);
    expect(there(t)).toEqual(before);
    z.ok('release', 'keep', `${t}@y`);
    z.ok('clone', `${t}@z`, `${t}-clone`);
    expect(await codeOf(zfs.destroySnapshots(t, ['x', 'y', 'z']))).toBe('DIVERGED');
    expect(there(t)).toEqual(before);
    z.ok('destroy', `${t}-clone`);
    expect(await codeOf(zfs.destroySnapshots(t, ['x', 'y', 'z']))).toBe('done');
    expect(there(t)).toEqual(['all', 'all@1', 'all@2']);
    expect(await codeOf(zfs.destroySnapshots(t, ['x']))).toBe('NO_SUCH_SNAPSHOT');
  });

  test('keeps data written in the dataset, which a rollback then discards', async () => {
    const { s, t } = replicated('kept');
    expect(written(t)).toBe(0);
    diverge(t, 'x');
    await zfs.destroySnapshots(t, ['x']);
    expect(written(t)).toBeGreaterThan(0);
    expect(z.feed(z.stream('-i', '@2', `${s}@3`), 'receive', '-s', '-u', `${t}@3`).exit).toBe(1);
    await zfs.rollback(`${t}@2`);
    expect(written(t)).toBe(0);
    expect(z.feed(z.stream('-i', '@2', `${s}@3`), 'receive', '-s', '-u', `${t}@3`)).toEqual(done);
    expect(z.digest(`${t}@3`)).toBe(z.digest(`${s}@3`));
  });
});

describe('a rollback without -r', () => {
  test('is refused if a newer snapshot or bookmark exists', async () => {
    const { t } = replicated('newer');
    expect(await codeOf(zfs.rollback(`${t}@1`))).toBe('DIVERGED');
    z.ok('bookmark', `${t}@2`, `${t}#2`);
    expect(await codeOf(zfs.rollback(`${t}@2`))).toBe('done');
    await zfs.destroySnapshots(t, ['2']);
    expect(await codeOf(zfs.rollback(`${t}@1`))).toBe('DIVERGED');
    expect(there(t)).toEqual(['newer', 'newer@1', 'newer#2']);
    expect(await codeOf(zfs.rollback(`${t}@none`))).toBe('NO_SUCH_SNAPSHOT');
  });

  test('keeps the state of an interrupted receive, which then continues', async () => {
    const { s, t } = replicated('partial');
    z.write(s, 4_000_000);
    z.ok('snapshot', `${s}@4`);
    const cut = z.stream('-i', '@2', `${s}@4`).subarray(0, 2_500_000);
    expect(z.feed(cut, 'receive', '-s', '-u', `${t}@4`).exit).toBe(1);
    const token = z.value('receive_resume_token', t);
    expect(token).toMatch(/^1-/);
    // its base cannot be destroyed meanwhile
    expect(await codeOf(zfs.destroySnapshots(t, ['2']))).toBe('DIVERGED');
    z.write(t, 50_000);
    expect(await codeOf(zfs.rollback(`${t}@2`))).toBe('done');
    expect(z.value('receive_resume_token', t)).toBe(token);
    expect(z.feed(z.stream('-t', token), 'receive', '-s', '-u', `${t}@4`)).toEqual(done);
    expect(z.digest(`${t}@4`)).toBe(z.digest(`${s}@4`));
  });
});

describe('the loss of a rollback', () => {
  test('is counted since any snapshot, regardless of snapshots in between', async () => {
    const { t } = replicated('since');
    expect(await zfs.writtenSince(`${t}@2`)).toBe(0);
    diverge(t, 'x', 'y');
    z.write(t, 100_000);
    const since = await zfs.writtenSince(`${t}@2`);
    expect(since).toBeGreaterThanOrEqual(300_000);
    expect(await zfs.writtenSince(`${t}@y`)).toBe(written(t));
    await zfs.destroySnapshots(t, ['x', 'y']);
    expect(await zfs.writtenSince(`${t}@2`)).toBe(since);
    expect(written(t)).toBe(since);
    expect(await codeOf(zfs.writtenSince(`${t}@y`))).toBe('NO_SUCH_SNAPSHOT');
    expect(await codeOf(zfs.writtenSince(`${t}_none@y`))).toBe('NO_SUCH_DATASET');
  });

  test('is marked before: the dataset has the mark, its descendants and clones do not, and a rollback keeps it', async () => {
    const { t } = replicated('marked');
    z.ok('create', `${t}/kid`);
    z.ok('clone', `${t}@2`, `${t}_clone`);
    const told = async () =>
      (await zfs.list({ dataset: z.target, recursive: true })).flatMap(({ name, rolledBack }) =>
        rolledBack === undefined ? [] : [[name, rolledBack]],
      );
    const marked = async (transfer: string) => zfs.markRollback(t, z.value('guid', t), transfer);
    await marked('abcdef1');
    expect(await told()).toEqual([[t, 'abcdef1']]);
    z.write(t, 50_000);
    await marked('abcdef2');
    await zfs.rollback(`${t}@2`);
    expect(await told()).toEqual([[t, 'abcdef2']]);
    z.ok('set', 'zpsend:rollback=not ours', t);
    expect(await told()).toEqual([]);
  });

  test.runIf(isReal)('is fully counted once the mark is set, also data written a moment before', async () => {
    const { t } = replicated('moment');
    z.ok('mount', t);
    const file = join(z.value('mountpoint', t), 'file');
    for (let turn = 1; turn <= 5; turn += 1) {
      appendFileSync(file, randomBytes(200_000));
      await zfs.markRollback(t, z.value('guid', t), `abcdef${turn}`);
      expect(written(t)).toBeGreaterThanOrEqual(turn * 200_000);
    }
  });
});

describe('rotating a dataset', () => {
  test('keeps all snapshots, holds and partial state, and the dataset starts again as a clone', async () => {
    const { s, t } = replicated('rotate');
    const cut = z.stream('-i', '@2', `${s}@3`).subarray(0, 150_000);
    expect(z.feed(cut, 'receive', '-s', '-u', `${t}@3`).exit).toBe(1);
    diverge(t, 'x');
    z.ok('hold', 'keep', `${t}@x`);
    const [guid, token] = [z.value('guid', t), z.value('receive_resume_token', t)];
    await zfs.rename(t, `${t}_diverged_7`);
    expect(there(`${t}_diverged_7`).map((name) => name.split('@')[1])).toEqual([undefined, '1', '2', 'x']);
    expect([z.value('guid', `${t}_diverged_7`), z.value('receive_resume_token', `${t}_diverged_7`)]).toEqual([
      guid,
      token,
    ]);
    const step = ['receive', '-s', '-u', '-o', `origin=${t}_diverged_7@2`, '-o', 'readonly=on', `${t}@3`];
    expect(z.feed(z.stream('-i', '@2', `${s}@3`), ...step)).toEqual(done);
    expect(z.value('origin', t)).toBe(`${t}_diverged_7@2`);
    expect(written(t)).toBe(0);
    expect(z.digest(`${t}@3`)).toBe(z.digest(`${s}@3`));
    // and continues like any other
    z.write(s, 100_000);
    z.ok('snapshot', `${s}@4`);
    expect(z.feed(z.stream('-i', '@3', `${s}@4`), 'receive', '-s', '-u', `${t}@4`)).toEqual(done);
    z.ok('release', 'keep', `${t}_diverged_7@x`);
  });

  test('also works for a volume', async () => {
    const [s, t] = [`${z.source}/vol`, `${z.target}/vol`];
    z.ok('create', '-V', '8M', s);
    for (const name of ['1', '2']) z.ok('snapshot', `${s}@${name}`);
    expect(z.feed(z.stream(`${s}@1`), 'receive', '-s', '-u', `${t}@1`)).toEqual(done);
    z.ok('snapshot', `${t}@x`);
    await zfs.rename(t, `${t}_diverged_7`);
    const origin = `origin=${t}_diverged_7@1`;
    expect(z.feed(z.stream('-i', '@1', `${s}@2`), 'receive', '-s', '-u', '-o', origin, `${t}@2`)).toEqual(done);
    expect([z.value('type', t), z.value('origin', t)]).toEqual(['volume', `${t}_diverged_7@1`]);
    await zfs.destroySnapshots(`${t}_diverged_7`, ['x']);
    await zfs.rollback(`${t}_diverged_7@1`);
  });

  test('is refused to an existing name, to another pool, and for a missing dataset', async () => {
    const { s, t } = replicated('refused');
    expect(await codeOf(zfs.rename(t, z.target))).not.toBe('done');
    z.ok('create', `${t}_2`);
    expect(await codeOf(zfs.rename(t, `${t}_2`))).toBe('EXISTS');
    expect(await codeOf(zfs.rename(t, `${s}_2`))).toBe('BAD_REQUEST');
    expect(await codeOf(zfs.rename(`${t}_3`, `${t}_4`))).toBe('NO_SUCH_DATASET');
    expect(await codeOf(zfs.rename(t, `${t}_none/a`))).toBe('NO_SUCH_DATASET');
    expect(there(t)).toEqual(['refused', 'refused@1', 'refused@2']);
  });

  test('moves the descendants too', async () => {
    const { t } = replicated('family');
    z.ok('create', `${t}/kid`);
    z.ok('snapshot', `${t}/kid@k`);
    await zfs.rename(t, `${t}2`);
    expect(there(`${t}2`)).toEqual(expect.arrayContaining(['family2/kid', 'family2/kid@k']));
  });
});
