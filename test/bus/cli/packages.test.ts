import { execa } from 'execa';
import { expect, test } from 'vitest';
import { openLocks } from '../../../lib/bus/locks/locks.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { jobSchema } from '../../../schemas/job.ts';
import { statusOutputSchema } from '../../../schemas/output.ts';
import { planReplySchema } from '../../../schemas/plan.ts';
import { receiveCheckedSchema } from '../../../schemas/transfer.ts';
import { quick, useFleet } from '../../support/fleet.ts';
import { codesOf, mentions } from '../../support/mentions.ts';
import { useNatsServer } from '../../support/nats-server.ts';
import { program } from '../../support/program.ts';
import type { SimHost } from '../../support/sim-host.ts';

const server = useNatsServer();

/** smos-01 with pool/b and a clone of each before it, all with @pre-send and @send, and a receiver on smos-00. */
async function useTree(receiver: NodeJS.ProcessEnv = {}, bytes = 50_000) {
  const fleet = await useFleet(server().url);
  const [source, target] = await Promise.all([fleet.host('smos-01'), fleet.host('smos-00')]);
  await Promise.all([source, target].map((host) => host.zpool('create', 'pool')));
  const write = (dataset: string) => source.zfs('set', `zfs-sim:write=${bytes}`, dataset);
  await source.zfs('create', 'pool/b');
  await source.zfs('create', 'pool/b/1');
  await write('pool/b/1');
  await source.zfs('snapshot', 'pool/b/1@clone2');
  await source.zfs('clone', 'pool/b/1@clone2', 'pool/b/2');
  for (const name of ['pre-send', 'send']) {
    await Promise.all(['pool/b', 'pool/b/1', 'pool/b/2'].map(write));
    await source.zfs('snapshot', '-r', `pool/b@${name}`);
  }
  await fleet.start('receiver', target, { ZPSEND_ALLOW: 'smos-01=pool', ...receiver });
  const zpsend = (...args: string[]) =>
    execa(process.execPath, [program, ...args], {
      env: { ...source.env, ...quick, NATS_URL: server().url },
      extendEnv: false,
      reject: false,
    });
  return { fleet, source, target, zpsend };
}

const guids = async (host: SimHost, dataset: string) =>
  (await host.zfs('list', '-rHp', '-t', 'snapshot', '-o', 'guid', dataset)).trim().split('\n').toSorted();

test('zpsend send -R sends a dataset with all descendants, and has nothing to do the second time', async () => {
  const { source, target, zpsend } = await useTree();
  const first = await zpsend('send', '-R', 'pool/b@send', 'smos-00');
  expect(first.stdout).toEqual(mentions('pool/b@send', 'smos-00', 'done', '3 datasets', '7 steps'));
  expect(first.stderr).toEqual(mentions('smos-00', '7 of 7'));
  expect(first.exitCode).toBe(0);
  expect(await guids(target, 'pool/b')).toEqual(await guids(source, 'pool/b'));
  expect((await target.zfs('get', '-Hp', '-o', 'value', 'origin', 'pool/b/2')).trim()).toBe('pool/b/1@clone2');

  const [again, planned] = await Promise.all([
    zpsend('send', '-R', 'pool/b@send', 'smos-00'),
    zpsend('plan', '-r', 'pool/b@send', 'smos-00'),
  ]);
  for (const { stdout, exitCode } of [again, planned]) {
    expect([stdout, exitCode]).toEqual([mentions('pool/b@send', 'smos-00'), 0]);
    expect(stdout).not.toEqual(mentions('done'));
    expect(stdout.split('\n')).toHaveLength(1);
  }
});

test('a dataset that cannot be sent is reported, and the others are sent, with exit status 3', async () => {
  const { source, target, zpsend } = await useTree();
  await zpsend('send', '-R', 'pool/b@pre-send', 'smos-00');
  await target.zfs('snapshot', 'pool/b/1@mine');

  const plan = await zpsend('plan', '-R', 'pool/b@send', 'smos-00');
  expect(plan.stdout).toEqual(mentions('2 steps', '2 datasets', 'smos-00'));
  expect(codesOf(plan.stderr)).toEqual(['DIVERGED']);
  expect(plan.stderr).toEqual(mentions('pool/b/1', 'smos-01', '@pre-send', '@mine'));
  const dry = await zpsend('send', '-n', '-R', 'pool/b@send', 'smos-00');
  expect([dry.stdout, dry.stderr, dry.exitCode]).toEqual([plan.stdout, plan.stderr, 3]);
  const json = await zpsend('plan', '--json', '-R', 'pool/b@send', 'smos-00');
  expect(planReplySchema.parse(JSON.parse(json.stdout)).plan).toMatchObject({ refused: [{ dataset: 'pool/b/1' }] });
  expect([plan.exitCode, json.exitCode, json.stderr]).toEqual([3, 3, '']);

  const { stdout, stderr, exitCode } = await zpsend('send', '-R', '--quiet', 'pool/b@send', 'smos-00');
  expect(stdout).toEqual(mentions('pool/b@send', 'smos-00', '1 of 3', 'failed', '2 of 2'));
  expect([codesOf(stderr), stderr]).toEqual([['DIVERGED'], mentions('pool/b/1', 'smos-01')]);
  expect(stderr.split('\n')).toHaveLength(1);
  expect(exitCode).toBe(3);
  expect(await guids(target, 'pool/b/2')).toEqual(await guids(source, 'pool/b/2'));

  const job = await zpsend('send', '-R', '--json', 'pool/b@send', 'smos-00');
  expect(jobSchema.parse(JSON.parse(job.stdout)).datasets).toMatchObject({
    total: 3,
    failed: 1,
    list: expect.arrayContaining([expect.objectContaining({ dataset: 'pool/b/1', state: 'refused' })]),
  });
  expect([job.stderr, job.exitCode]).toEqual(['', 3]);
});

test('a plan shows what the receiver refuses, and missing space, with the exit status of send', async () => {
  const { fleet, target, zpsend } = await useTree({ ZPSEND_ALLOW: 'smos-01=pool/in' }, 3_000_000);
  await target.zfs('create', 'pool/in');
  const before = await target.zfs('list', '-Hp', '-t', 'all', '-o', 'name');
  const refused = await zpsend('plan', '-R', 'pool/b', 'smos-00:pool/out');
  expect(codesOf(refused.stderr)).toEqual(expect.arrayContaining(['NOT_ALLOWED']));
  expect(refused.stderr).toEqual(mentions('smos-01', 'pool/out', 'smos-00', '{from: "smos-01", into: "pool/out"}'));
  expect([refused.stdout, refused.exitCode]).toEqual(['', 1]);
  const sent = await zpsend('send', 'pool/b', 'smos-00:pool/out');
  expect(sent.stderr).toContain(refused.stderr.split('\n')[0]?.slice(0, 100));
  expect(sent.exitCode).toBe(1);

  const conflict = await zpsend('plan', '-o', 'atime=on', 'pool/b', 'smos-00:pool/in/b');
  expect([codesOf(conflict.stderr), conflict.stderr]).toEqual([
    ['NOT_ALLOWED'],
    mentions('smos-01', 'atime', 'pool/in/b', 'smos-00'),
  ]);

  await target.zfs('set', 'quota=5M', 'pool/in');
  const short = await zpsend('plan', '-R', 'pool/b', 'smos-00:pool/in/b');
  expect(short.stdout).toEqual(mentions('3 datasets', 'smos-00'));
  expect([codesOf(short.stderr), short.stderr]).toEqual([['NO_SPACE'], mentions('pool/in', 'smos-00')]);
  expect(short.exitCode).toBe(1);
  await target.zfs('set', 'quota=none', 'pool/in');
  expect(await zpsend('plan', '-R', 'pool/b', 'smos-00:pool/in/b')).toMatchObject({ stderr: '', exitCode: 0 });
  expect(await target.zfs('list', '-Hp', '-t', 'all', '-o', 'name')).toBe(before);

  // a source asks in its name only
  const body = {
    sourceHost: 'smos-02',
    starts: [{ targetDataset: 'pool/in/b', to: { name: 'pool/b@send', guid: '1' } }],
  };
  const asked = fleet.ask(subjects.receiveCheckFrom('smos-00', 'smos-01'), body, receiveCheckedSchema);
  await expect(asked).rejects.toMatchObject({ code: 'NOT_ALLOWED' });
});

test('a package that is refused as a whole sends nothing, with exit status 1', async () => {
  const { source, target, zpsend } = await useTree();
  await source.zfs('create', 'pool/b/3');
  await source.zfs('snapshot', 'pool/b/3@other');
  await source.zfs('snapshot', 'pool/b@late');
  await source.zfs('snapshot', 'pool/b/1@late');
  const { stdout, stderr, exitCode } = await zpsend('send', '-R', 'pool/b@late', 'smos-00');
  expect(stdout).toEqual(mentions('pool/b@late', 'smos-00', 'failed'));
  expect(codesOf(stderr)).toEqual(['NO_SUCH_SNAPSHOT', 'NO_SUCH_SNAPSHOT']);
  expect(stderr).toEqual(mentions('pool/b/2', 'pool/b/3', 'smos-01'));
  expect(exitCode).toBe(1);
  expect((await target.zfs('list', '-Hp', '-o', 'name')).trim()).toBe('pool');

  const skipping = await zpsend('send', '-R', '--skip-missing', '-d', 'pool/b@late', 'smos-00:pool/backup');
  expect(skipping.stdout).toEqual(mentions('pool/b@late', 'smos-00:pool/backup/b', 'done', '2 datasets'));
  expect(skipping.exitCode).toBe(0);
  expect(await guids(target, 'pool/backup/b/1')).toEqual(await guids(source, 'pool/b/1'));
});

test('a target with too long dataset names is wrong usage', async () => {
  const { target, zpsend } = await useTree();
  const { stderr, exitCode } = await zpsend('send', '-R', 'pool/b', `smos-00:pool/${'x'.repeat(249)}`);
  expect(codesOf(stderr)).toContain('BAD_REQUEST');
  expect(stderr).toEqual(mentions(255));
  expect(exitCode).toBe(2);
  expect((await target.zfs('list', '-Hp', '-o', 'name')).trim()).toBe('pool');
});

test('zpsend status shows the finished datasets of a package', async () => {
  const { fleet, source, zpsend } = await useTree({ ZFS_SIM_RECV_RATE: '4M' }, 20_000_000);
  await fleet.start('sender', source);
  const job = await fleet.begin('smos-01', {
    dataset: 'pool/b@send',
    to: { host: 'smos-00' },
    package: 'replication',
  });
  const locks = await openLocks(fleet.bus, 4);
  await expect.poll(() => locks.list(), { timeout: 30_000 }).not.toHaveLength(0);
  const [people, json] = await Promise.all([zpsend('status', 'smos-01'), zpsend('status', '--json', 'smos-01')]);
  expect(people.stdout).toMatch(/^smos-01 +\S+ +running +pool\/b@send +smos-00 +0\/3 +0\/7 /m);
  const [host] = statusOutputSchema.parse(JSON.parse(json.stdout)).hosts;
  expect(host?.jobs).toMatchObject([{ job, datasets: { total: 3, done: 0 } }]);
  expect((await zpsend('abort', job)).exitCode).toBe(0);
  expect(await fleet.ended('smos-01', job)).toMatchObject({ state: 'failed', error: { code: 'ABORTED' } });
});
