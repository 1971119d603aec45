import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeToken, encodeToken } from '../../lib/zfs/resume-token.ts';
import { headOf } from '../../lib/zfs/stream-head.ts';
import { createZfs, type Zfs, type ZfsProcess } from '../../lib/zfs/zfs.ts';
import { mentions } from '../support/mentions.ts';
import { makeSimHost } from '../support/sim-host.ts';

/** The same tests run on the machine's own OpenZFS (as root, in the virtual machine) and on the simulator. */
const isReal = process.env.ZPSEND_REAL_ZFS === '1';
const MIB = 1024 * 1024;
const [src, dst] = [`asrc${process.pid}`, `adst${process.pid}`];

let folder: string;
let zfs: Zfs;
/** Any command of `zfs` that the adapter itself never gives. */
let admin: (...argv: string[]) => Promise<string>;
let end: () => Promise<void>;

beforeAll(async () => {
  folder = await mkdtemp(join(process.env.ZPSEND_SCRATCH ?? tmpdir(), 'zpsend-adapter-'));
  const sim = isReal ? undefined : await makeSimHost('smos-01');
  const env = sim ? { ...process.env, ...sim.env } : process.env;
  const run = async (command: string, argv: string[]) =>
    (await execa(command, argv, { env, extendEnv: false })).stdout.trim();
  admin = (...argv) => run('zfs', argv);
  for (const pool of [src, dst]) {
    const file = join(folder, pool);
    await writeFile(file, '');
    await truncate(file, 256 * MIB);
    await run('zpool', ['create', '-f', pool, file]);
  }
  zfs = createZfs({ host: 'smos-01', env });
  await history(made);
  end = async () => {
    for (const pool of [src, dst]) await run('zpool', ['destroy', '-f', pool]);
    await sim?.remove();
    await rm(folder, { recursive: true });
  };
});
afterAll(() => end());

/** Content that does not compress. */
async function write(dataset: string, bytes: number) {
  if (!isReal) return admin('set', `zfs-sim:write=${bytes}`, dataset);
  const mountpoint = await admin('get', '-Hp', '-o', 'value', 'mountpoint', dataset);
  return writeFile(join(mountpoint, randomBytes(8).toString('hex')), randomBytes(bytes), { flush: true });
}

/** A dataset with the snapshots @a, @b and @c, each after one more megabyte, and the bookmark #b. */
async function history(dataset: string) {
  await admin('create', dataset);
  for (const name of ['a', 'b', 'c']) {
    await write(dataset, MIB);
    await admin('snapshot', `${dataset}@${name}`);
  }
  await admin('bookmark', `${dataset}@b`, `${dataset}#b`);
}

/** Has a history that no test changes. */
const made = `${src}/made`;

const bare = { set: { readonly: 'on' }, exclude: ['mountpoint'] };

async function pass(send: ZfsProcess, receive: ZfsProcess) {
  // a receive that ended well before its input was closed is a premature close to a pipeline
  await pipeline(send.stdout, receive.stdin).catch(() => {});
  await Promise.all([send.done, receive.done]);
}

const guidOf = async (name: string) => (await zfs.inspect([name]))[0]?.guid;

describe('listEach', () => {
  it('lists in one command the named datasets that exist, without their descendants', async () => {
    await admin('create', `${src}/each`);
    await admin('create', `${src}/each/below`);
    await admin('snapshot', '-r', `${src}/each@1`);
    const listed = await zfs.listEach([`${src}/each`, `${src}/gone`, made]);
    expect(listed.map(({ name }) => name)).toEqual([`${src}/each`, made]);
    const [whole] = await zfs.list({ dataset: made, creation: true });
    const leaves = (of: typeof whole) =>
      [...(of?.snapshots ?? []), ...(of?.bookmarks ?? [])].map(({ name, guid, createtxg, creation }) => [
        ...[name, guid, createtxg, creation],
      ]);
    expect(leaves(listed[1])).toEqual(leaves(whole));
    expect(listed[1]?.snapshots.map(({ written }) => written)).toEqual(whole?.snapshots.map(({ written }) => written));
    expect(listed[0]?.snapshots.map(({ name }) => name)).toEqual(['1']);
    await admin('destroy', '-r', `${src}/each`);
  });

  it('is empty if none of them exists', async () => expect(await zfs.listEach([`${src}/gone`])).toEqual([]));
});

describe('list', () => {
  it('returns datasets, snapshots and bookmarks of one dataset, or with its descendants', async () => {
    await admin('create', `${made}/my data:1`);
    await admin('snapshot', `${made}/my data:1@at 12:00`);
    await admin('create', '-V', '8M', `${made}/vol`);

    const [one, ...others] = await zfs.list({ dataset: made });
    expect(others).toEqual([]);
    expect(one).toMatchObject({
      name: made,
      type: 'filesystem',
      guid: await admin('get', '-Hp', '-o', 'value', 'guid', made),
      encryption: 'off',
      snapshots: [{ name: 'a' }, { name: 'b' }, { name: 'c' }],
      bookmarks: [{ name: 'b', guid: await guidOf(`${made}@b`) }],
    });
    expect(one?.snapshots[1]?.written).toBeGreaterThan(MIB - 1);

    const all = await zfs.list({ dataset: made, recursive: true });
    expect(all.map(({ name, type, snapshots }) => [name, type, snapshots.map(({ name }) => name)])).toEqual([
      [made, 'filesystem', ['a', 'b', 'c']],
      [`${made}/my data:1`, 'filesystem', ['at 12:00']],
      [`${made}/vol`, 'volume', []],
    ]);
    const everything = (await zfs.list({})).map(({ name }) => name);
    expect(everything).toEqual(expect.arrayContaining([src, dst, `${made}/vol`]));
  });

  it('has the guid of a clone’s origin, inside and outside of the listing', async () => {
    await admin('clone', `${made}@b`, `${src}/clone`);
    const origin = { name: `${made}@b`, guid: await guidOf(`${made}@b`) };
    expect((await zfs.list({ dataset: `${src}/clone` }))[0]?.origin).toEqual(origin);
    expect((await zfs.list({})).find(({ name }) => name === `${src}/clone`)?.origin).toEqual(origin);
  });

  it('of a missing dataset is NO_SUCH_DATASET', async () => {
    await expect(zfs.list({ dataset: `${src}/none` })).rejects.toMatchObject({
      code: 'NO_SUCH_DATASET',
      message: mentions(`${src}/none`, 'smos-01'),
    });
  });
});

describe('foreign text', () => {
  const own = `${src}/own`;
  const marked = (more: object) => expect.objectContaining({ name: own, ...more });

  it('in zpsend’s own properties is read, and inherited values are kept', async () => {
    await admin('create', own);
    const { guid } = (await zfs.list({ dataset: own }))[0] ?? {};
    await admin('set', `zpsend:stream=${guid}:raw`, `zpsend:rollback=${guid}:abcdef1`, own);
    await admin('create', `${own}/below`);
    const noted = { stream: `${guid}:raw`, rolledBack: 'abcdef1' };
    expect(await zfs.list({ dataset: own })).toEqual([marked(noted)]);
    const all = [marked(noted), expect.objectContaining({ name: `${own}/below`, stream: `${guid}:raw` })];
    expect(await zfs.list({ dataset: own, recursive: true })).toEqual(all);
    expect((await zfs.list({})).filter(({ name }) => name.startsWith(own))).toEqual(all);
    expect((await zfs.list({ dataset: own, recursive: true }))[1]).not.toHaveProperty('rolledBack');
    await zfs.createPlaceholder(`${own}/empty`);
    expect((await zfs.list({ dataset: own, recursive: true }))[2]).toMatchObject({ placeholder: true });
  });

  // a whole row of `zfs list`, half a one, a row of `zfs get` about another dataset, and about itself
  it.each([
    (victim: string) => `x\n${victim}\tfilesystem\t1\t2\n`,
    () => 'a\tb',
    (victim: string) => `x\n${victim}\tzpsend:stream\t7:`,
    (_: string, itself: string) => `x\n${itself}\tzpsend:rollback\t7:abcdef1\n${itself}\tzpsend:placeholder\ton`,
  ])('in a property refuses the listing in which it would be believed, and no other (%#)', async (value) => {
    const [evil, victim] = [`${src}/evil`, made];
    await admin('create', evil);
    try {
      await admin('set', `zpsend:stream=${value(victim, evil)}`, evil);
      for (const dataset of [evil, src]) {
        const listed = zfs.list({ dataset, recursive: true });
        await expect(listed).rejects.toMatchObject({ code: 'INTERNAL', message: expect.stringContaining(evil) });
      }
      expect(await zfs.list({ dataset: victim })).toHaveLength(1);
      expect(await zfs.inspect([evil, victim])).toHaveLength(2);
      expect(await zfs.listEach([evil, victim])).toHaveLength(2);
      await expect(zfs.properties([evil], ['zpsend:stream'])).rejects.toMatchObject({ code: 'INTERNAL' });
      await admin('inherit', 'zpsend:stream', evil);
      expect((await zfs.list({ dataset: src, recursive: true })).map(({ name }) => name)).toContain(victim);
    } finally {
      await admin('destroy', '-r', evil);
    }
  });

  it('of other properties is not read at all', async () => {
    await admin('set', `zpsend:other=x\n${made}\tfilesystem\t1\t2`, own);
    expect((await zfs.list({ dataset: src, recursive: true })).filter(({ name }) => name === made)).toHaveLength(1);
    await admin('destroy', '-r', own);
  });

  it('in the tag of a hold fails the list of holds', async () => {
    const snapshot = `${made}@a`;
    for (const tag of ['a\tb', `a\n${made}@b\tzpsend:base`]) {
      await admin('hold', tag, snapshot);
      await expect(zfs.holds([snapshot])).rejects.toMatchObject({ code: 'INTERNAL' });
      await admin('release', tag, snapshot);
    }
    expect(await zfs.holds([snapshot])).toEqual([]);
  });
});

describe('inspect', () => {
  it('returns the names that exist and leaves out the others', async () => {
    const names = [made, `${made}@b`, `${made}#b`];
    const missing = [`${src}/none`, `${made}@none`, `${made}#none`, 'nopool/x', `${src}/none@x`];
    const seen = await zfs.inspect([...names, ...missing]);
    expect(seen.map(({ name }) => name).sort()).toEqual([...names].sort());
    expect(seen.find(({ type }) => type === 'snapshot')).toMatchObject({ userrefs: 0, name: `${made}@b` });
    expect(await zfs.inspect(missing)).toEqual([]);
    expect(await zfs.inspect([])).toEqual([]);
  });
});

describe('send and receive', () => {
  it('replicate a full stream, an incremental from a snapshot and one from a bookmark, with their guids', async () => {
    await history(`${src}/a`);
    const into = { dataset: `${dst}/a`, ...bare };
    await pass(zfs.send({ to: `${src}/a@a` }), zfs.receive({ ...into, snapshot: 'a' }));
    await pass(zfs.send({ to: `${src}/a@b`, from: `${src}/a@a` }), zfs.receive({ ...into, snapshot: 'b' }));
    await admin('destroy', `${src}/a@b`);
    await pass(zfs.send({ to: `${src}/a@c`, from: `${src}/a#b` }), zfs.receive({ ...into, snapshot: 'c' }));

    const [sent] = await zfs.list({ dataset: `${src}/a` });
    const [got] = await zfs.list({ dataset: `${dst}/a` });
    expect(got?.snapshots.map(({ name }) => name)).toEqual(['a', 'b', 'c']);
    expect(got?.snapshots.map(({ guid }) => guid)).toEqual([
      sent?.snapshots[0]?.guid,
      sent?.bookmarks[0]?.guid,
      sent?.snapshots[1]?.guid,
    ]);
    expect(await admin('get', '-Hp', '-o', 'value', 'readonly', `${dst}/a`)).toBe('on');
  });

  it('replicate a clone of its origin', async () => {
    await admin('clone', `${made}@a`, `${src}/o2`);
    await admin('snapshot', `${src}/o2@x`);
    await pass(zfs.send({ to: `${made}@a` }), zfs.receive({ dataset: `${dst}/o`, snapshot: 'a', ...bare }));
    await pass(
      zfs.send({ to: `${src}/o2@x`, from: `${made}@a` }),
      zfs.receive({ dataset: `${dst}/o2`, snapshot: 'x', origin: `${dst}/o@a`, ...bare }),
    );
    expect((await zfs.list({ dataset: `${dst}/o2` }))[0]?.origin).toEqual({
      name: `${dst}/o@a`,
      guid: await guidOf(`${made}@a`),
    });
  });

  it('leave a token after an interruption, with which the rest arrives under the same name', async () => {
    await admin('create', `${src}/cut`);
    await write(`${src}/cut`, 24 * MIB);
    await admin('snapshot', `${src}/cut@a`);
    const whole = await buffer(zfs.send({ to: `${src}/cut@a` }).stdout);
    const into = { dataset: `${dst}/cut`, snapshot: 'a', ...bare };
    const cut = zfs.receive(into);
    cut.stdin.end(whole.subarray(0, 16 * MIB));
    await expect(cut.done).rejects.toMatchObject({ code: 'STREAM_BROKEN' });

    const token = (await zfs.inspect([`${dst}/cut`]))[0]?.resumeToken ?? '';
    expect((await zfs.list({ dataset: `${dst}/cut` }))[0]?.resumeToken).toBe(token);
    const said = decodeToken(token);
    expect(said).toMatchObject({ toname: `${src}/cut@a`, toguid: await guidOf(`${src}/cut@a`) });
    expect(said.bytes).toBeGreaterThan(BigInt(MIB));
    expect(said).not.toHaveProperty('fromguid');
    expect(await zfs.estimate({ token })).toBeGreaterThan(MIB);

    const rest = await buffer(zfs.send({ token }).stdout);
    // a token made from its contents is as good
    const made = encodeToken(said);
    expect(decodeToken(made)).toEqual(said);
    expect((await buffer(zfs.send({ token: made }).stdout)).equals(rest)).toBe(true);
    expect(headOf(rest)).toMatchObject({ toguid: said.toguid, fromguid: '0', raw: false });
    expect(rest.length).toBeLessThan(whole.length - 8 * MIB);
    const receive = zfs.receive(into);
    receive.stdin.end(rest);
    await receive.done;
    expect(await guidOf(`${dst}/cut@a`)).toBe(await guidOf(`${src}/cut@a`));
    expect((await zfs.inspect([`${dst}/cut`]))[0]).not.toHaveProperty('resumeToken');
  });

  it('leave the base of an interrupted incremental in its token, and an abort restores the dataset', async () => {
    await admin('create', `${src}/inc`);
    await admin('snapshot', `${src}/inc@a`);
    await write(`${src}/inc`, 12 * MIB);
    await admin('snapshot', `${src}/inc@b`);
    const into = { dataset: `${dst}/inc`, ...bare };
    await pass(zfs.send({ to: `${src}/inc@a` }), zfs.receive({ ...into, snapshot: 'a' }));
    const step = { to: `${src}/inc@b`, from: `${src}/inc@a` };
    const cut = zfs.receive({ ...into, snapshot: 'b' });
    cut.stdin.end((await buffer(zfs.send(step).stdout)).subarray(0, 8 * MIB));
    await expect(cut.done).rejects.toMatchObject({ code: 'STREAM_BROKEN' });
    const token = (await zfs.inspect([`${dst}/inc`]))[0]?.resumeToken ?? '';
    expect(decodeToken(token)).toMatchObject({ fromguid: await guidOf(`${src}/inc@a`) });

    const again = zfs.receive({ ...into, snapshot: 'b' });
    const refused = zfs.send(step);
    await pipeline(refused.stdout, again.stdin).catch(() => {});
    await expect(again.done).rejects.toMatchObject({ code: 'BUSY' });
    await refused.done.catch(() => {});

    await admin('destroy', `${src}/inc@b`);
    await expect(zfs.estimate({ token })).rejects.toMatchObject({ code: 'RESUME_STALE' });
    await zfs.abortReceive(`${dst}/inc`);
    await zfs.abortReceive(`${dst}/inc`);
    await zfs.abortReceive(`${dst}/none`);
    const [left] = await zfs.list({ dataset: `${dst}/inc` });
    expect(left).not.toHaveProperty('resumeToken');
    expect(left?.snapshots).toHaveLength(1);
  });

  it('end soon after a kill', async () => {
    await admin('create', `${src}/kill`);
    await write(`${src}/kill`, 16 * MIB);
    await admin('snapshot', `${src}/kill@a`);
    const send = zfs.send({ to: `${src}/kill@a` });
    const receive = zfs.receive({ dataset: `${dst}/kill`, snapshot: 'a', ...bare });
    receive.stdin.write(await firstChunk(send.stdout));
    await sleep(200);
    send.kill();
    receive.kill();
    await expect(send.done).rejects.toMatchObject({ name: 'ZpsendError' });
    await expect(receive.done).rejects.toMatchObject({ name: 'ZpsendError' });
  });

  it('fail with the code of the error', async () => {
    await admin('clone', `${made}@a`, `${src}/other`);
    await admin('snapshot', `${src}/other@a`);
    const into = { dataset: `${dst}/e`, ...bare };
    const refused = async (send: Parameters<Zfs['send']>[0], receive: Parameters<Zfs['receive']>[0]) => {
      const process = zfs.receive(receive);
      await pipeline(zfs.send(send).stdout, process.stdin).catch(() => {});
      return process.done.then(
        () => 'done',
        (error) => error.code,
      );
    };
    const [full, step] = [{ to: `${made}@a` }, { to: `${made}@c`, from: `${made}@b` }];
    expect(await refused(step, { ...into, snapshot: 'c' })).toBe('NO_SUCH_DATASET');
    expect(await refused(full, { ...into, dataset: `${dst}/none/e`, snapshot: 'a' })).toBe('NO_SUCH_DATASET');
    expect(await refused(full, { ...into, snapshot: 'a' })).toBe('done');
    expect(await refused(full, { ...into, snapshot: 'a' })).toBe('EXISTS');
    expect(await refused(step, { ...into, snapshot: 'c' })).toBe('DIVERGED');
    await admin('set', 'readonly=off', `${dst}/e`);
    await admin('mount', `${dst}/e`);
    await write(`${dst}/e`, MIB);
    await admin('unmount', `${dst}/e`);
    expect(await refused({ to: `${made}@b`, from: `${made}@a` }, { ...into, snapshot: 'b' })).toBe('MODIFIED');
    const origin = `${dst}/e@none`;
    const clone = { to: `${src}/other@a`, from: `${made}@a` };
    expect(await refused(clone, { ...into, dataset: `${dst}/f`, snapshot: 'a', origin })).toBe('ORIGIN_MISSING');

    const noise = zfs.receive({ ...into, dataset: `${dst}/noise`, snapshot: 'a' });
    noise.stdin.end(Buffer.alloc(MIB, 'noise'));
    await expect(noise.done).rejects.toMatchObject({ code: 'STREAM_BROKEN' });

    const sent = (stream: Parameters<Zfs['send']>[0]) => zfs.send(stream).done;
    await expect(sent({ to: `${made}@none` })).rejects.toMatchObject({ code: 'NO_SUCH_SNAPSHOT' });
    const baseMissing = { code: 'BASE_MISSING' };
    await expect(sent({ to: `${made}@b`, from: `${made}@none` })).rejects.toMatchObject(baseMissing);
    await expect(sent({ to: `${made}@b`, from: `${made}#none` })).rejects.toMatchObject(baseMissing);
    await expect(sent({ to: `${made}@b`, from: `${src}/other@a` })).rejects.toMatchObject(baseMissing);
    await expect(sent({ token: '1-abc-def' })).rejects.toMatchObject({ code: 'RESUME_STALE' });
    await expect(zfs.estimate({ token: '1-abc-def' })).rejects.toMatchObject({ code: 'RESUME_STALE' });
  });
});

async function firstChunk(stdout: Readable): Promise<Uint8Array> {
  for (;;) {
    const chunk = stdout.read();
    if (chunk) return chunk;
    await new Promise((resolve) => stdout.once('readable', resolve));
  }
}

describe('holds', () => {
  it('are set, listed and released, and a repetition is no error', async () => {
    const [a, b, gone] = [`${made}@a`, `${made}@b`, `${made}@gone`];
    await zfs.hold('zpsend:one', [a, b]);
    await zfs.hold('zpsend:one', [a, b]);
    await zfs.hold('zpsend:two', [b]);
    const held = await zfs.holds([a, b, gone]);
    expect(held.map(({ snapshot, tag }) => `${snapshot} ${tag}`).sort()).toEqual(
      [`${a} zpsend:one`, `${b} zpsend:one`, `${b} zpsend:two`].sort(),
    );
    expect((await zfs.inspect([b]))[0]?.userrefs).toBe(2);
    await expect(admin('destroy', a)).rejects.toThrow();

    await zfs.release('zpsend:one', [gone, a, `${src}/none@x`, b]);
    await zfs.release('zpsend:one', [gone, a, b]);
    expect(await zfs.holds([a, b])).toEqual([{ snapshot: b, tag: 'zpsend:two' }]);
    await zfs.release('zpsend:two', [a, b]);
    expect(await zfs.holds([gone])).toEqual([]);
  });

  it('on a missing snapshot fail with NO_SUCH_SNAPSHOT', async () => {
    await expect(zfs.hold('zpsend:x', [`${made}@a`, `${made}@none`])).rejects.toMatchObject({
      code: 'NO_SUCH_SNAPSHOT',
    });
    await zfs.release('zpsend:x', [`${made}@a`, `${made}@none`]);
    expect(await zfs.holds([`${made}@a`])).toEqual([]);
  });
});

describe('queries', () => {
  it('of sizes are close to the real size, or fail with a code', async () => {
    const step = { to: `${made}@b`, from: `${made}@a` };
    const truth = (await buffer(zfs.send(step).stdout)).length;
    const guess = (await zfs.estimate(step)) ?? 0;
    expect(Math.abs(guess - truth)).toBeLessThan(truth / 4);
    await expect(zfs.estimate({ to: `${made}@none` })).rejects.toMatchObject({ code: 'NO_SUCH_SNAPSHOT' });
    const baseless = { to: `${made}@b`, from: `${made}#none` };
    await expect(zfs.estimate(baseless)).rejects.toMatchObject({ code: 'BASE_MISSING' });
  });

  it('of the version and the pools succeed', async () => {
    expect(await zfs.version()).toMatch(/^zfs/);
    const pools = await zfs.pools();
    expect(pools.find(({ name }) => name === src)).toMatchObject({ health: 'ONLINE', size: expect.any(Number) });
    expect(pools.find(({ name }) => name === src)?.free).toBeGreaterThan(MIB);
  });
});
