import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { configured } from '../../support/configured.ts';
import { type Fleet, useFleet } from '../../support/fleet.ts';
import { useGate } from '../../support/gate.ts';
import { useNatsAccounts } from '../../support/nats-account.ts';
import { program } from '../../support/program.ts';
import { reload } from '../../support/reload.ts';
import type { ServiceProcess } from '../../support/service.ts';
import type { SimHost } from '../../support/sim-host.ts';
import { arrived, send as sendToStore, snapshot, stored, useWorld } from '../../support/store-world.ts';
import { rested, useTriggered } from '../../support/triggered.ts';

const natsUrl = useNatsAccounts();

/** The gate may stay shut for long on a loaded machine. */
const patient = { ZPSEND_SILENCE_SECONDS: '60' };

const toDst = (dataset: string) => ({ dataset, to: { host: 'dst' } });
const propertyOf = (host: SimHost, property: string, dataset: string) =>
  host.zfs('get', '-Hpo', 'value', property, dataset);

/** Hosts `one` and `two` with `pool/one` and `pool/two`, and a receiver on `dst` with this configuration. */
async function useHosts(receive: object) {
  const fleet: Fleet = await useFleet(natsUrl());
  const [one, two, dst] = await Promise.all(['one', 'two', 'dst'].map((name) => fleet.host(name)));
  if (!one || !two || !dst) throw new Error('no hosts');
  await Promise.all([one, two, dst].map((host) => host.zpool('create', 'pool')));
  for (const host of [one, two]) {
    await host.zfs('create', `pool/${host.name}`);
    await host.zfs('snapshot', `pool/${host.name}@1`);
  }
  const file = configured(JSON.stringify({ receive }));
  const receiver = await fleet.start('receiver', dst, { ...file, ...patient }, { waitReady: false });
  return { fleet, one, two, dst, file, receiver };
}

test('a source that is allowed, and forbidden again, is so at once; a running receive goes on as it began', async () => {
  const rule = (from: string) => ({ from, into: `pool/${from}` });
  const { fleet, one, two, dst, file, receiver } = await useHosts({
    ...{ maxConcurrent: 1, allow: [rule('one')], properties: { set: { readonly: 'on' } } },
  });
  // a signal during the start is one read after it
  await receiver.logged('service.configured');
  process.kill(receiver.pid, 'SIGHUP');
  await receiver.logged('settings.unchanged');

  const gate = await useGate(one);
  const sender = await fleet.start('sender', one, { ...gate.env, ...patient });
  await fleet.start('sender', two, patient);
  const refused = { state: 'failed', error: { code: 'NOT_ALLOWED' } };
  expect(await fleet.send('two', toDst('pool/two'))).toMatchObject(refused);

  await gate.shut('send');
  const running = await fleet.begin('one', toDst('pool/one'));
  await sender.logged('step.ready');
  const next = { maxConcurrent: 2, allow: [rule('two')], properties: { set: { readonly: 'off' } } };
  expect(await reload(receiver, file, JSON.stringify({ receive: next }))).toEqual([
    { event: 'settings.changed', settings: ['receive.maxConcurrent', 'receive.allow', 'receive.properties'] },
  ]);
  expect(await fleet.send('two', toDst('pool/two'))).toMatchObject({ state: 'done', done: 1 });
  expect(await fleet.status('one', running)).toMatchObject({ state: 'running' });

  // a bad file changes nothing
  expect(await reload(receiver, file, 'receive: { allow: [{ from: two }] }')).toEqual([
    { event: 'settings.refused', code: 'BAD_REQUEST' },
  ]);
  await two.zfs('snapshot', 'pool/two@2');
  expect(await fleet.send('two', toDst('pool/two'))).toMatchObject({ state: 'done', done: 1 });

  await gate.open('send');
  expect(await fleet.ended('one', running)).toMatchObject({ state: 'done', done: 1 });
  expect(await propertyOf(dst, 'readonly', 'pool/one')).toBe('on');
  expect(await propertyOf(dst, 'readonly', 'pool/two')).toBe('off');
  await one.zfs('snapshot', 'pool/one@2');
  expect(await fleet.send('one', toDst('pool/one'))).toMatchObject(refused);

  expect(await reload(receiver, file, JSON.stringify({ receive: { ...next, allow: [] } }))).toEqual([
    { event: 'settings.changed', settings: ['receive.allow'] },
  ]);
  await receiver.logged('receive.no-source-allowed');
  await two.zfs('snapshot', 'pool/two@3');
  expect(await fleet.send('two', toDst('pool/two'))).toMatchObject(refused);

  const ended = receiver.end('SIGTERM');
  process.kill(receiver.pid, 'SIGHUP');
  expect(await ended).toBe(0);
});

test('what needs a restart is named at each reload, and keeps its value', async () => {
  const { file, receiver } = await useHosts({ allow: [{ from: '*', into: 'pool' }] });
  await receiver.logged('service.ready');
  const changed = { receive: { maxConcurrent: 2 }, host: 'other', nats: { user: 'x', password: 'y' } };
  const needRestart = { event: 'settings.need-restart', settings: ['nats'] };
  // ZPSEND_HOST has precedence over the file
  expect(await reload(receiver, file, JSON.stringify(changed))).toEqual([
    { event: 'settings.changed', settings: ['receive.maxConcurrent', 'receive.allow'] },
    needRestart,
  ]);
  expect(await reload(receiver, file)).toEqual([needRestart]);
});

test('a removed policy starts no more jobs, and an added one runs', async () => {
  const world = await useTriggered(natsUrl(), 'dst', 'site-b');
  const [, other] = world.targets;
  await world.source.zfs('create', 'pool/b');
  await world.snapshot('1', 'silent');
  const policies = (...all: object[]) => JSON.stringify({ send: { policies: all } });
  const file = configured(policies({ dataset: 'pool/a', to: ['dst'] }));
  const sender: ServiceProcess = await world.sender([], {}, file);
  await expect.poll(() => world.started, { timeout: 30_000 }).toEqual(['dst']);
  await rested(world);

  expect(await reload(sender, file, policies({ dataset: 'pool/b', to: ['site-b'] }))).toEqual([
    { event: 'settings.changed', settings: ['send.policies'] },
  ]);
  await world.snapshot('2');
  await world.source.zfs('snapshot', 'pool/b@1');
  world.announce('pool/b@1');
  const there = () => other?.zfs('list', '-Hp', '-t', 'snapshot', '-o', 'name', 'pool/b').catch(() => '');
  await expect.poll(there, { timeout: 60_000 }).toBe('pool/b@1');
  await rested(world);
  expect(new Set(world.started.slice(1))).toEqual(new Set(['site-b']));
  expect(sender.lines('policy.active')).toHaveLength(2);

  const invalid = policies({ dataset: 'pool/b', to: ['src:pool/b'] });
  expect(await reload(sender, file, invalid)).toEqual([{ event: 'settings.refused', code: 'BAD_REQUEST' }]);
  expect(sender.lines('policy.active')).toHaveLength(2);
});

test('streams that wait in the store of a source are fetched as soon as it is allowed', async () => {
  const world = await useWorld();
  await world.fleet.start('sender', world.src);
  const file = configured('receive: { allow: [] }');
  const receiver = await world.fleet.start('receiver', world.dst, file);
  await snapshot(world.src, 1_000_000, '1');
  expect(await sendToStore(world, { channel: 'store' })).toMatchObject({ state: 'done', channel: 'store' });
  expect(await stored(world)).not.toEqual([]);
  await reload(receiver, file, JSON.stringify({ receive: { allow: [{ from: 'src', into: 'pool' }] } }));
  await arrived(world);
});

test('a private sender ends with its terminal', async () => {
  const fleet = await useFleet(natsUrl());
  const host = await fleet.host('one');
  const child = execa(process.execPath, [program, 'sender', '--private'], {
    env: { ...host.env, NATS_URL: natsUrl(), ZPSEND_LOG: 'json' },
    ...{ extendEnv: false, reject: false, stdin: 'pipe' as const },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  await new Promise((resolve) => child.stdout.once('data', resolve));
  child.kill('SIGHUP');
  expect(await child).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('"event":"service.stopped"') });
});
