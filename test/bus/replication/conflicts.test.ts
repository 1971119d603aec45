import { execa } from 'execa';
import { expect, test } from 'vitest';
import { newSecret } from '../../../lib/bus/channel/direct/authentic.ts';
import { request } from '../../../lib/bus/rpc/request.ts';
import { subjects } from '../../../lib/bus/subjects.ts';
import { planPartSchema } from '../../../schemas/plan.ts';
import { protocol } from '../../../schemas/protocol.ts';
import { receiveAbortedSchema, receiveReadySchema } from '../../../schemas/transfer.ts';
import { rejection } from '../../support/bus.ts';
import { allowing, ask, change, diverge, diverged, ran, stream, there, usePair } from '../../support/diverging-pair.ts';
import { mentions } from '../../support/mentions.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import { expectUnlocked } from '../../support/scripted-sender.ts';

const natsUrl = useNatsAccounts();

test('I5: by default a diverged target is left alone', async () => {
  const pair = await usePair(natsUrl());
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
  const pair = await usePair(natsUrl());
  const { fleet, target, source } = pair;
  await fleet.start('receiver', target, await allowing());
  await fleet.start('sender', source);
  await diverge(pair);
  for (const conflict of ['rollback', 'rotate']) {
    const job = await fleet.send('smos-01', ask(conflict));
    expect(job).toMatchObject({ state: 'failed', done: 0, bytes: 0, error: { code: 'NOT_ALLOWED' } });
    expect(job.error?.message).toEqual(mentions(`conflicts: [${conflict}]`));
  }
  expect(await there(target)).toEqual(diverged);
  expect(await ran(target)).toEqual([]);
  await expectUnlocked(fleet);
});

test('rollback: the plan lists what goes, that goes and nothing else, and the rest arrives', async () => {
  const pair = await usePair(natsUrl());
  const { fleet, target, source } = pair;
  const receiver = await fleet.start('receiver', target, await allowing('rollback'));
  await fleet.start('sender', source);
  await diverge(pair);
  const { plan } = await request(fleet.bus, subjects.send('smos-01', 'plan'), ask('rollback'), planPartSchema);
  expect(plan).toMatchObject({
    ok: true,
    steps: [{ before: { kind: 'rollback', destroys: [{ name: 'x' }, { name: 'y' }] } }],
    notes: [
      {
        kind: 'rollback',
        dataset: 'zones/back/test',
        message: mentions('@x', '@y', 'DESTROYED'),
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
  expect(receiver.lines('conflict.destroyed').map(({ snapshots }) => snapshots)).toEqual([
    ['zones/back/test@x', 'zones/back/test@y'],
  ]);
  // only written to
  await target.zfs('set', 'zfs-sim:write=200000', 'zones/back/test');
  await change(source, 'zones/test', 'd');
  expect(await fleet.send('smos-01', ask())).toMatchObject({ state: 'failed', error: { code: 'MODIFIED' } });
  expect(await fleet.send('smos-01', ask('rollback'))).toMatchObject({ state: 'done', done: 1 });
  expect(await there(target)).toEqual(['test', 'test@a', 'test@b', 'test@c', 'test@d']);
  await expectUnlocked(fleet);
});

test.each(['keep', 'zpsend:abcdefghij.0.0123abcd'])(
  'rollback: a hold of another tool or of a job keeps everything as it is, and is named: %s',
  async (tag) => {
    const pair = await usePair(natsUrl());
    const { fleet, target, source } = pair;
    await fleet.start('receiver', target, await allowing('rollback'));
    await fleet.start('sender', source);
    await diverge(pair);
    await target.zfs('hold', 'zpsend:base', 'zones/back/test@x');
    await target.zfs('hold', tag, 'zones/back/test@y');
    const job = await fleet.send('smos-01', ask('rollback'));
    expect(job).toMatchObject({ state: 'failed', done: 0, error: { code: 'DIVERGED' } });
    expect(job.error).toMatchObject({
      details: { snapshot: 'zones/back/test@y', tag },
      message: mentions(`zfs release ${tag} zones/back/test@y`, 'smos-00'),
    });
    expect(await there(target)).toEqual(diverged);
    expect(await ran(target), 'its own hold stays too').toEqual([]);
    await expectUnlocked(fleet);
  },
);

test('rotate: the target is renamed with all its snapshots, and starts again as a clone of the common snapshot', async () => {
  const pair = await usePair(natsUrl());
  const { fleet, target, source } = pair;
  await fleet.start('receiver', target, await allowing('rotate'));
  await fleet.start('sender', source);
  await diverge(pair);
  const job = await fleet.send('smos-01', ask('rotate'));
  expect(job).toMatchObject({ state: 'done', done: 1 });
  const names = await there(target);
  const rotated = names.find((name) => /^test_diverged_\d+$/.test(name)) ?? 'none';
  expect(names).toEqual(['test', 'test@c', rotated, ...['a', 'b', 'x', 'y'].map((leaf) => `${rotated}@${leaf}`)]);
  expect(await target.zfs('get', '-Hp', '-o', 'value', 'origin', 'zones/back/test')).toBe(`zones/back/${rotated}@b`);
  expect(await fleet.send('smos-01', ask('rotate'))).toMatchObject({ state: 'done', done: 0 });
  await expectUnlocked(fleet);
});

test('I9: killed between the renaming and the receive, the same request finishes the work', async () => {
  const pair = await usePair(natsUrl());
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
  const rotated = names.find((name) => /^test_diverged_\d+$/.test(name)) ?? 'none';
  expect(names).toEqual(['test', 'test@c', rotated, ...['a', 'b', 'x', 'y'].map((leaf) => `${rotated}@${leaf}`)]);
  await expectUnlocked(fleet);
});

test('I1, I11: what is renamed is locked under both names, and nothing is done before the source has proved itself', async () => {
  const pair = await usePair(natsUrl());
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
    transfer: 'scripted77',
    protocol,
    secret: newSecret(),
    job: 'jobjobjob7',
    sourceHost: 'smos-01',
    targetDataset: 'zones/back/test',
    to: { name: 'zones/test@c', guid: c },
    from: { guid: b },
    origin: 'zones/back/rotated@b',
    partial: 'resume',
    before: { kind: 'rename', from: 'zones/back/test', to: 'zones/back/rotated', guid },
  };
  await fleet.ask(subjects.receive('smos-00', 'start'), start, receiveReadySchema);
  const rival = {
    ...start,
    transfer: 'scripted78',
    targetDataset: 'zones/back/rotated',
    before: undefined,
    origin: undefined,
  };
  expect(await rejection(fleet.ask(subjects.receive('smos-00', 'start'), rival, receiveReadySchema))).toMatchObject({
    code: 'LOCKED',
  });
  expect(await there(target)).toEqual(diverged);
  await fleet.ask(subjects.receive('smos-00', 'abort'), { transfer: 'scripted77' }, receiveAbortedSchema);
  await expectUnlocked(fleet);
  expect(await there(target)).toEqual(diverged);
});
