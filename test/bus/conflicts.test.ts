import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { request } from '../../lib/bus/request.ts';
import { subjects } from '../../lib/bus/subjects.ts';
import { planReplySchema } from '../../schemas/plan.ts';
import { receiveAbortedSchema, receiveReadySchema } from '../../schemas/transfer.ts';
import { rejection } from '../support/bus.ts';
import { type Fleet, useFleet } from '../support/fleet.ts';
import { useNatsServer } from '../support/nats-server.ts';
import type { SimHost } from '../support/sim-host.ts';
import { begin, data, expectUnlocked } from '../support/spoken-sender.ts';

const server = useNatsServer();

interface Pair {
  fleet: Fleet;
  source: SimHost;
  target: SimHost;
}

/** smos-00 has zones/back/test up to @b, and two snapshots of its own; smos-01 has @c besides. */
async function usePair(): Promise<Pair> {
  const fleet = await useFleet(server().url);
  const [source, target] = await Promise.all([fleet.host('smos-01'), fleet.host('smos-00')]);
  await Promise.all([source.zpool('create', 'zones'), target.zpool('create', 'zones')]);
  await target.zfs('create', 'zones/back');
  await source.zfs('create', 'zones/test');
  for (const name of ['a', 'b']) await change(source, 'zones/test', name);
  return { fleet, source, target };
}

async function change(host: SimHost, dataset: string, snapshot: string): Promise<void> {
  await host.zfs('set', 'zfs-sim:write=200000', dataset);
  await host.zfs('snapshot', `${dataset}@${snapshot}`);
}

/** The environment of a receiver whose only rule allows these. */
async function allowing(...conflicts: string[]): Promise<NodeJS.ProcessEnv> {
  const folder = await mkdtemp(join(tmpdir(), 'zpsend-config-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, 'zpsend.yaml');
  await writeFile(
    file,
    `receive: { allow: [{ from: smos-01, into: zones/back, conflicts: [${conflicts.join(', ')}] }] }\n`,
  );
  return { ZPSEND_CONFIG: file };
}

/** Both hosts begin equal, and then go their own ways. */
async function diverge({ fleet, source, target }: Pair): Promise<void> {
  expect(await fleet.send('smos-01', ask())).toMatchObject({ state: 'done', done: 2 });
  for (const name of ['x', 'y']) await change(target, 'zones/back/test', name);
  await change(source, 'zones/test', 'c');
}

const ask = (conflict?: string, more: object = {}) => ({
  dataset: 'zones/test',
  to: { host: 'smos-00', dataset: 'zones/back/test' },
  ...(conflict && { conflict }),
  ...more,
});

async function stream(host: SimHost, ...argv: string[]): Promise<Buffer> {
  const { stdout } = await execa('zfs', ['send', ...argv], { env: host.env, extendEnv: false, encoding: 'buffer' });
  return Buffer.from(stdout);
}

const there = async (host: SimHost): Promise<string[]> =>
  (await host.zfs('list', '-Hp', '-r', '-t', 'all', '-o', 'name', 'zones/back'))
    .split('\n')
    .filter((line) => line !== 'zones/back')
    .map((line) => line.replace('zones/back/', ''));

const ran = async (host: SimHost): Promise<string[]> =>
  (await host.processes())
    .map(({ argv }) => argv.slice(1).join(' '))
    .filter((line) => /^(destroy|rollback|rename|release) /.test(line));

const diverged = ['test', 'test@a', 'test@b', 'test@x', 'test@y'];

test('I5: by default a target that went its own way is left alone', async () => {
  const pair = await usePair();
  await pair.fleet.start('receiver', pair.target, await allowing('rollback', 'rotate'));
  await pair.fleet.start('sender', pair.source);
  await diverge(pair);
  for (const conflict of [undefined, 'refuse']) {
    expect(await pair.fleet.send('smos-01', ask(conflict))).toMatchObject({
      state: 'failed',
      error: { code: 'DIVERGED' },
    });
  }
  expect(await there(pair.target)).toEqual(diverged);
});

test('I5: a policy that the receiver does not allow is NOT_ALLOWED, with what to add, before anything changed', async () => {
  const pair = await usePair();
  const { fleet, target, source } = pair;
  await fleet.start('receiver', target, await allowing());
  await fleet.start('sender', source);
  await diverge(pair);
  for (const conflict of ['rollback', 'rotate']) {
    const job = await fleet.send('smos-01', ask(conflict));
    expect(job).toMatchObject({ state: 'failed', done: 0, bytes: 0, error: { code: 'NOT_ALLOWED' } });
    expect(job.error?.message).toContain(`add conflicts: [${conflict}]`);
  }
  expect(await there(target)).toEqual(diverged);
  expect(await ran(target)).toEqual([]);
  await expectUnlocked(fleet);
});

test('rollback: the plan lists what goes, that goes and nothing else, and the rest arrives', async () => {
  const pair = await usePair();
  const { fleet, target, source } = pair;
  const receiver = await fleet.start('receiver', target, await allowing('rollback'));
  await fleet.start('sender', source);
  await diverge(pair);
  const { plan } = await request(fleet.bus, subjects.send('smos-01', 'plan'), ask('rollback'), planReplySchema);
  expect(plan).toMatchObject({
    ok: true,
    steps: [{ before: { kind: 'rollback', destroys: [{ name: 'x' }, { name: 'y' }] } }],
    notes: [
      {
        kind: 'rollback',
        dataset: 'zones/back/test',
        message: expect.stringContaining('@x, @y there will be DESTROYED'),
      },
    ],
  });
  expect(await there(target), 'a plan changes nothing').toEqual(diverged);

  await target.zfs('hold', 'zpsend:base', 'zones/back/test@x');
  // of what this host sends on to another
  const guid = await target.zfs('get', '-Hp', '-o', 'value', 'guid', 'zones/back/test@y');
  const cursor = `zones/back/test#zpsend_far_0123abcd_${guid}`;
  await target.zfs('bookmark', 'zones/back/test@y', cursor);
  expect(await fleet.send('smos-01', ask('rollback'))).toMatchObject({ state: 'done', done: 1 });
  expect(await there(target)).toEqual(['test', 'test@a', 'test@b', 'test@c']);
  expect(await ran(target)).toEqual([
    'release zpsend:base zones/back/test@x',
    'destroy zones/back/test@x,y',
    `destroy ${cursor}`,
    'rollback zones/back/test@b',
  ]);
  expect(receiver.log.join('\n')).toMatch(
    /destroying zones\/back\/test@x \(guid \d+\), zones\/back\/test@y \(guid \d+\)/,
  );
  // only written to
  await target.zfs('set', 'zfs-sim:write=200000', 'zones/back/test');
  await change(source, 'zones/test', 'd');
  expect(await fleet.send('smos-01', ask())).toMatchObject({ state: 'failed', error: { code: 'MODIFIED' } });
  expect(await fleet.send('smos-01', ask('rollback'))).toMatchObject({ state: 'done', done: 1 });
  expect(await there(target)).toEqual(['test', 'test@a', 'test@b', 'test@c', 'test@d']);
  await expectUnlocked(fleet);
});

test.each(['keep', 'zpsend:abcdefghij'])(
  'rollback: a hold of somebody else’s, or of a job, keeps everything as it is, and is named: %s',
  async (tag) => {
    const pair = await usePair();
    const { fleet, target, source } = pair;
    await fleet.start('receiver', target, await allowing('rollback'));
    await fleet.start('sender', source);
    await diverge(pair);
    await target.zfs('hold', 'zpsend:base', 'zones/back/test@x');
    await target.zfs('hold', tag, 'zones/back/test@y');
    const job = await fleet.send('smos-01', ask('rollback'));
    expect(job).toMatchObject({ state: 'failed', done: 0, error: { code: 'DIVERGED' } });
    expect(job.error?.message).toContain(`zones/back/test@y on smos-00 is held by "${tag}"`);
    expect(await there(target)).toEqual(diverged);
    expect(await ran(target), 'its own hold stays too').toEqual([]);
    await expectUnlocked(fleet);
  },
);

test.each<[string, (target: SimHost) => Promise<unknown>, RegExp, string[]]>([
  [
    'a snapshot was made',
    (target) => change(target, 'zones/back/test', 'new'),
    /has @new since it was planned/,
    ['test@new'],
  ],
  [
    'something was written',
    (target) => target.zfs('set', 'zfs-sim:write=200000', 'zones/back/test'),
    /was written to since it was planned .* bytes would be lost/,
    [],
  ],
])(
  'I5, I11: nothing goes before the first frame, and nothing at all where %s since the plan',
  async (_, meanwhile, words, more) => {
    const pair = await usePair();
    const { fleet, target, source } = pair;
    await fleet.start('receiver', target, await allowing('rollback'));
    await fleet.start('sender', source);
    await diverge(pair);
    const { plan } = await request(fleet.bus, subjects.send('smos-01', 'plan'), ask('rollback'), planReplySchema);
    const [step] = plan.ok ? plan.steps : [];
    if (!step?.from || !step.before) throw new Error('no rollback was planned');
    const talk = await begin(fleet, {
      dataset: step.target,
      to: step.to,
      from: { guid: step.from.guid },
      before: step.before,
    });
    await meanwhile(target);
    expect(await ran(target)).toEqual([]);
    talk.say(data(0, await stream(source, '-i', '@b', 'zones/test@c')));
    expect(await talk.final).toMatchObject({
      type: 'failed',
      error: { code: 'DIVERGED', message: expect.stringMatching(words) },
    });
    expect(await there(target)).toEqual([...diverged, ...more]);
    expect(await ran(target)).toEqual([]);
    await expectUnlocked(fleet);
  },
);

test('I5: what comes to the target while the job runs was in no plan, and ends the job that began with a rollback', async () => {
  const pair = await usePair();
  const { fleet, target, source } = pair;
  await fleet.start('receiver', target, { ...(await allowing('rollback')), ZFS_SIM_RECV_RATE: '4M' });
  await fleet.start('sender', source);
  await diverge(pair);
  await source.zfs('set', 'zfs-sim:write=60000000', 'zones/test');
  await source.zfs('snapshot', 'zones/test@d');
  await change(source, 'zones/test', 'e');
  const job = await fleet.begin('smos-01', ask('rollback'));
  const sent = async () => (await fleet.status('smos-01', job))?.bytes ?? 0;
  await expect.poll(sent, { timeout: 60_000 }).toBeGreaterThan(4_000_000);
  expect(await there(target)).toContain('test@c');
  await change(target, 'zones/back/test', 'precious');
  const ended = await fleet.ended('smos-01', job);
  expect(ended).toMatchObject({ state: 'failed', error: { code: 'DIVERGED' } });
  expect(ended.error?.message).toContain('since the job was planned');
  expect(await there(target)).toContain('test@precious');
  expect((await ran(target)).filter((line) => line.startsWith('rollback'))).toHaveLength(1);
  await expectUnlocked(fleet);
}, 120_000);

test.each(['receiver', 'nats-server'])(
  'I5: once the target took bytes its rollback is done, and what is written there after that is not rolled back too: %s started anew',
  async (what) => {
    const pair = await usePair();
    const { fleet, target, source } = pair;
    const env = { ...(await allowing('rollback')), ZFS_SIM_RECV_RATE: '4M' };
    const receiver = await fleet.start('receiver', target, env);
    await fleet.start('sender', source);
    await diverge(pair);
    await source.zfs('destroy', 'zones/test@c');
    await source.zfs('set', 'zfs-sim:write=60000000', 'zones/test');
    await source.zfs('snapshot', 'zones/test@d');
    const job = await fleet.begin('smos-01', ask('rollback'));
    const sent = async () => (await fleet.status('smos-01', job))?.bytes ?? 0;
    // more than a window, so that the target has taken some of it
    await expect.poll(sent, { timeout: 60_000 }).toBeGreaterThan(16_000_000);
    expect(await ran(target)).toContain('rollback zones/back/test@b');
    if (what === 'receiver') await receiver.end('SIGKILL');
    await target.zfs('set', 'zfs-sim:write=100000', 'zones/back/test');
    const written = () => target.zfs('get', '-Hp', '-o', 'value', 'written', 'zones/back/test');
    const before = await written();
    if (what === 'receiver') await fleet.start('receiver', target, env);
    else await server().restart();
    const ended = await fleet.ended('smos-01', job);
    expect(ended).toMatchObject({ state: 'failed', error: { code: expect.stringMatching(/^(DIVERGED|MODIFIED)$/) } });
    expect(await written()).toBe(before);
    expect((await ran(target)).filter((line) => line.startsWith('rollback'))).toHaveLength(1);
    await expectUnlocked(fleet);
  },
  180_000,
);

test('rotate: the target is moved aside with all it has, and begins anew as a clone of the common snapshot', async () => {
  const pair = await usePair();
  const { fleet, target, source } = pair;
  await fleet.start('receiver', target, await allowing('rotate'));
  await fleet.start('sender', source);
  await diverge(pair);
  const job = await fleet.send('smos-01', ask('rotate'));
  expect(job).toMatchObject({ state: 'done', done: 1 });
  const names = await there(target);
  const aside = names.find((name) => /^test_diverged_\d+$/.test(name)) ?? 'none';
  expect(names).toEqual(['test', 'test@c', aside, ...['a', 'b', 'x', 'y'].map((leaf) => `${aside}@${leaf}`)]);
  expect(await target.zfs('get', '-Hp', '-o', 'value', 'origin', 'zones/back/test')).toBe(`zones/back/${aside}@b`);
  expect(await fleet.send('smos-01', ask('rotate'))).toMatchObject({ state: 'done', done: 0 });
  await expectUnlocked(fleet);
});

test('I9: killed between the renaming and the receive, the same request finishes the work', async () => {
  const pair = await usePair();
  const { fleet, target, source } = pair;
  const allow = await allowing('rotate');
  const receiver = await fleet.start('receiver', target, { ...allow, ZFS_SIM_FAIL: 'receive:cannot receive: planned' });
  const sender = await fleet.start('sender', source);
  // this receiver fails every receive, so what both have is brought by hand
  for (const [to, ...base] of [['a'], ['b', '-i', '@a']]) {
    const input = await stream(source, ...base, `zones/test@${to}`);
    await execa('zfs', ['receive', '-u', `zones/back/test@${to}`], { env: target.env, extendEnv: false, input });
  }
  for (const name of ['x', 'y']) await change(target, 'zones/back/test', name);
  await change(source, 'zones/test', 'c');
  await fleet.begin('smos-01', ask('rotate'));
  await expect.poll(() => ran(target), { timeout: 30_000 }).toHaveLength(1);
  await receiver.end('SIGKILL');
  await sender.end('SIGKILL');
  expect(await there(target)).not.toContain('test@c');
  await fleet.start('receiver', target, allow);
  await fleet.start('sender', source);
  expect(await fleet.send('smos-01', ask('rotate'))).toMatchObject({ state: 'done' });
  const names = await there(target);
  const aside = names.find((name) => /^test_diverged_\d+$/.test(name)) ?? 'none';
  expect(names).toEqual(['test', 'test@c', aside, ...['a', 'b', 'x', 'y'].map((leaf) => `${aside}@${leaf}`)]);
  await expectUnlocked(fleet);
});

test('I1, I11: what is renamed is locked under both names, and nothing is done before the source has proved itself', async () => {
  const pair = await usePair();
  const { fleet, target, source } = pair;
  await fleet.start('receiver', target, await allowing('rotate', 'rollback'));
  await fleet.start('sender', source);
  await diverge(pair);
  const [guid = '', c = '', b = ''] = await Promise.all([
    target.zfs('get', '-Hp', '-o', 'value', 'guid', 'zones/back/test'),
    source.zfs('get', '-Hp', '-o', 'value', 'guid', 'zones/test@c'),
    source.zfs('get', '-Hp', '-o', 'value', 'guid', 'zones/test@b'),
  ]);
  const start = {
    transfer: 'spoken77',
    job: 'jobjobjob7',
    source: 'smos-01',
    dataset: 'zones/back/test',
    to: { name: 'zones/test@c', guid: c },
    from: { guid: b },
    origin: 'zones/back/aside@b',
    partial: 'resume',
    before: { kind: 'rename', from: 'zones/back/test', to: 'zones/back/aside', guid },
  };
  await fleet.ask(subjects.receive('smos-00', 'start'), start, receiveReadySchema);
  const rival = { ...start, transfer: 'spoken78', dataset: 'zones/back/aside', before: undefined, origin: undefined };
  expect(await rejection(fleet.ask(subjects.receive('smos-00', 'start'), rival, receiveReadySchema))).toMatchObject({
    code: 'LOCKED',
  });
  expect(await there(target)).toEqual(diverged);
  await fleet.ask(subjects.receive('smos-00', 'abort'), { transfer: 'spoken77' }, receiveAbortedSchema);
  await expectUnlocked(fleet);
  expect(await there(target)).toEqual(diverged);
});
