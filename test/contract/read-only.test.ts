import { beforeAll, describe, expect, test } from 'vitest';
import { decodeToken } from '../../lib/zfs/resume-token.ts';
import { createZfs } from '../../lib/zfs/zfs.ts';
import { ZpsendError } from '../../schemas/errors.ts';
import { lab, MIB } from './zfs-under-test.ts';

const z = lab();
const zfs = createZfs({ host: 'here', env: z.env });
const code = (work: Promise<unknown>): Promise<string> => work.then(String, (thrown) => ZpsendError.from(thrown).code);

/** A pool with two snapshots, a bookmark, a hold, a replica and an interrupted receive; imported read-only. */
let pool = '';
let fs = '';
let increment: Uint8Array = new Uint8Array();
beforeAll(async () => {
  pool = z.pool('frozen', 128 * MIB);
  fs = `${pool}/a`;
  for (const name of [fs, `${pool}/b`]) z.ok('create', name);
  for (const snapshot of ['1', '2']) {
    z.write(fs, 2 * MIB);
    z.ok('snapshot', `${fs}@${snapshot}`);
  }
  z.ok('bookmark', `${fs}@1`, `${fs}#zpsend_x_1`);
  z.ok('hold', 'keep', `${fs}@1`);
  const full = z.stream(`${fs}@1`);
  increment = z.stream('-i', '@1', `${fs}@2`);
  z.feed(full, 'receive', '-u', `${pool}/replica`);
  z.feed(full.subarray(0, MIB), 'receive', '-s', '-u', `${pool}/part`);
  expect(z.value('receive_resume_token', `${pool}/part`)).toMatch(/^1-/);
  z.reimport(pool, '-o', 'readonly=on');
});

describe('a pool that is imported read-only', () => {
  test('edge case 38: is recognized, and other pools are not', async () => {
    const told = new Map((await zfs.pools()).map(({ name, readOnly }) => [name, readOnly]));
    expect([told.get(pool), told.get(z.target)]).toEqual([true, false]);
    expect((await zfs.poolFacts())?.readOnlyPools).toEqual([pool]);
    expect((await zfs.poolFacts(z.target))?.readOnlyPools).toEqual([]);
  });

  test('edge case 37: every command that changes it is refused with its own code, and nothing changes', async () => {
    const before = z.ok('list', '-Hp', '-r', '-t', 'all', '-o', 'name,userrefs,receive_resume_token', pool);
    const writes = {
      hold: () => zfs.hold('zpsend:1', [`${fs}@1`, `${fs}@2`]),
      release: () => zfs.release('keep', [`${fs}@1`]),
      bookmark: () => zfs.bookmark(`${fs}@2`, `${fs}#zpsend_x_2`),
      'bookmark of a bookmark': () => zfs.bookmark(`${fs}#zpsend_x_1`, `${fs}#zpsend_x_2`),
      'destroy a bookmark': () => zfs.destroyBookmark(`${fs}#zpsend_x_1`),
      'destroy snapshots': () => zfs.destroySnapshots(fs, ['2']),
      'a placeholder': () => zfs.createPlaceholder(`${pool}/place`),
      'a mark': () => zfs.markRollback(fs, '1', 'job0000001t1'),
      rollback: () => zfs.rollback(`${fs}@2`),
      rename: () => zfs.rename(`${pool}/b`, `${pool}/c`),
      'abort a receive': () => zfs.abortReceive(`${pool}/part`),
    };
    for (const [what, work] of Object.entries(writes)) expect([what, await code(work())]).toEqual([what, 'READ_ONLY']);
    for (const [stream, into] of [
      [z.stream(`${fs}@1`), 'new'],
      [increment, 'replica'],
    ] as const) {
      const { exit, stderr } = z.feed(stream, 'receive', '-s', '-u', `${pool}/${into}`);
      expect([exit, stderr]).toEqual([1, expect.stringMatching(/^cannot receive .* stream: pool is read-only\n$/)]);
    }
    expect(z.ok('list', '-Hp', '-r', '-t', 'all', '-o', 'name,userrefs,receive_resume_token', pool)).toEqual(before);
  });

  test('edge case 37: a missing dataset is reported as missing, and existing ones can be read and sent', async () => {
    expect(await code(zfs.hold('zpsend:1', [`${fs}@none`]))).toBe('NO_SUCH_SNAPSHOT');
    expect(await zfs.release('zpsend:none', [`${fs}@1`])).toEqual({ missing: false });
    expect(await zfs.holds([`${fs}@1`])).toEqual([{ snapshot: `${fs}@1`, tag: 'keep' }]);
    expect(z.stream('-i', '@1', `${fs}@2`)).toEqual(increment);
    expect(z.stream('-i', '#zpsend_x_1', `${fs}@2`)).toHaveLength(increment.length);
    const token = z.value('receive_resume_token', `${pool}/part`);
    expect(decodeToken(token)).toMatchObject({ toname: `${fs}@1` });
    expect(z.feed(z.stream(`${fs}@2`), 'receive', '-u', `${z.target}/copy`).exit).toBe(0);
  });
});
